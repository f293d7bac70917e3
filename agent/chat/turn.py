"""One turn: from a stored message to an answer that WeCom has.

    received (on disk) -> first frame -> place in line -> conversation -> answered (on disk) -> last ack -> files

Knows the order of these steps and what is stored at each; how the model is asked is in `conversation`, how an answer is
put together in `draft`, what a person may do in `assistant`.
"""

import asyncio
import contextlib
import logging
import sqlite3
from datetime import UTC, datetime
from typing import Literal

from agent.store import Store, deliveries, files, turns
from agent.store.states import IllegalTransition
from agent.wecom import Delivery, Outcome, ReplyStream, WecomAIBotWsServer

from .artefacts import Artefacts
from .attachments import Attachments
from .conversation import Conversation
from .draft import Draft
from .job import Job
from .line import Place, Places
from .words import Words

_log = logging.getLogger(__name__)


class Turns:
    """Answers jobs, one at a time a chat.

    Args:
        store, conversation, attachments, artefacts, words: the deployment's.
    """

    def __init__(
        self,
        store: Store,
        conversation: Conversation,
        attachments: Attachments,
        artefacts: Artefacts,
        words: Words,
    ) -> None:
        self._store, self._conversation, self._attachments = store, conversation, attachments
        self._artefacts, self._words = artefacts, words
        self._places = Places()

    def busy(self, chat: str) -> bool:
        """Whether an answer is being generated in `chat`."""
        return self._places.running(chat) is not None

    def stop(self, chat: str, user: str) -> Literal["answer", "waiting"] | None:
        """Ends the answer to `user` that is being generated in `chat`; without one what of theirs waits; without that
        the answer to somebody else. What was ended, None when there was nothing.
        """
        running, waiting = self._places.running(chat), self._places.waiting(chat, user)
        if waiting and (running is None or running.user != user):
            for place in waiting:
                place.end()
            return "waiting"
        if running is None:
            return None
        running.end()
        return "answer"

    async def join(self, job: Job, server: WecomAIBotWsServer) -> bool:
        """Leaves a message to be answered together with one that the same person has waiting, and says so at once:
        WeCom lets a person have three messages open, and one of them has to stay free for `/stop`. False, and nothing
        was done, when none waits.
        """
        waiting = self._places.waiting(job.address.key, job.message.from_userid or "")
        if not waiting:
            return False
        now, sentence = datetime.now(UTC), self._words.joined
        if not await self._store.run(turns.join, job.turn, waiting[-1].turn, now, answer=sentence):
            return False
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fetch(job, server))
            await self._show(job, server, sentence)
        return True

    async def _fetch(self, job: Job, server: WecomAIBotWsServer) -> None:
        await self._attachments.fetch(job.address.key, job.turn, job.question, server)

    async def answer(self, job: Job, server: WecomAIBotWsServer) -> None:
        """Answers a job whose turn is `received` or `answering`, and stores how it went."""
        try:
            async with server.open_stream(job.message, feedback_id=job.feedback_id, stream_id=job.stream_id) as bubble:
                bubble.open()
                async with asyncio.TaskGroup() as group:
                    # Links live five minutes, and the line may be long.
                    fetching = group.create_task(self._fetch(job, server))
                    draft = await self._in_line(job, bubble, server)
                    if draft.stopped:
                        fetching.cancel()
                    arrived = await self._deliver(job, bubble, draft)
        except asyncio.CancelledError:
            # The process is ending. The bubble was closed with a note, so the turn, still owed, gets a new one later.
            # A push that was not written has shown nothing and is still to be sent; one that was may not be repeated.
            with contextlib.suppress(IllegalTransition):  # settled already: the cancel came after the last ack
                if not job.pushed:
                    await self._store.run(deliveries.settle, job.delivery, "acked", datetime.now(UTC))
            raise
        except Exception:  # the disk is full, say: the bubble was closed with a note, and the next start answers
            _log.exception("an answer could not be stored on %r", job.message)
            return
        if arrived:
            await self._artefacts.send(job, server, draft.made)

    async def say(self, job: Job, server: WecomAIBotWsServer, sentence: str) -> None:
        """Answers a job with a sentence of the bot's own."""
        await self._store.run(turns.answer, job.turn, datetime.now(UTC), answer=sentence)
        await self._show(job, server, sentence)

    async def _show(self, job: Job, server: WecomAIBotWsServer, sentence: str) -> None:
        async with server.open_stream(job.message, stream_id=job.stream_id) as bubble:
            await self._deliver(job, bubble, Draft(self._words, text=sentence))

    async def deliver_again(self, job: Job, server: WecomAIBotWsServer, turn: turns.Turn) -> None:
        """Delivers what an earlier process answered or stopped: on its old stream if WeCom takes that, else pushed."""
        draft = Draft(self._words, text=turn.answer or "", thinking=turn.reasoning or "", error=turn.error)
        draft.hides_thinking = self._conversation.prompt(job).reasoning == "hide"
        draft.stopped = turn.state == "cancelled"
        async with server.open_stream(job.message, feedback_id=job.feedback_id, stream_id=job.stream_id) as bubble:
            arrived = await self._deliver(job, bubble, draft)
        if arrived:
            await self.send_files(job, server, turn.id)

    async def send_files(self, job: Job, server: WecomAIBotWsServer, turn: int, *, again: bool = False) -> None:
        """Sends the files that an answer made and that never left; with `again` those, too, that may have arrived."""
        made = await self._store.run(files.unsent, turn)
        await self._artefacts.send(job, server, [file for file in made if again or file.state == "made"])

    async def _in_line(self, job: Job, bubble: ReplyStream, server: WecomAIBotWsServer) -> Draft:
        """Waits for the chat's earlier turns, showing how many there are, then generates."""

        def moved(ahead: int) -> None:
            bubble.show(self._words.waiting.format(ahead=ahead) if ahead else "")

        place = self._places.take(job.address.key, moved, user=job.message.from_userid or "", turn=job.turn)
        if place.ahead:
            moved(place.ahead)
        async with place:
            if place.withdrawn:
                await self._store.run(turns.cancel, job.turn, datetime.now(UTC))
                return Draft(self._words, stopped=True)
            moved(0)
            return await self._generate(job, place, bubble, server)

    # --- the answer

    async def _generate(self, job: Job, place: Place, bubble: ReplyStream, server: WecomAIBotWsServer) -> Draft:
        """The answer, complete or not, stored. It ends early when the place's `stop` is called."""
        draft = Draft(self._words)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._ask(job, draft, bubble, server))

            def stop() -> None:
                if not work.done():
                    draft.stopped = True
                    work.cancel()

            place.stop = stop
        now = datetime.now(UTC)
        if draft.stopped:
            used = {"prompt_tokens": draft.prompt_tokens, "completion_tokens": draft.completion_tokens}
            await self._store.run(turns.cancel, job.turn, now, answer=draft.text, **used)
        elif draft.acknowledges:
            await self._store.run(turns.acknowledge, job.turn, now, answer=draft.text)
        else:
            await self._store.run(
                turns.answer,
                job.turn,
                now,
                answer=draft.text,
                reasoning=draft.thinking or None,
                model=draft.model,
                prompt_tokens=draft.prompt_tokens,
                completion_tokens=draft.completion_tokens,
                error=draft.error,
            )
        return draft

    async def _ask(self, job: Job, draft: Draft, bubble: ReplyStream, server: WecomAIBotWsServer) -> None:
        try:
            await self._conversation.answer(job, draft, bubble, server)
        except asyncio.CancelledError:
            if not draft.stopped:
                raise
        except Exception as error:
            draft.fail(error)

    # --- the delivery

    async def _deliver(self, job: Job, bubble: ReplyStream, draft: Draft) -> bool:
        """Shows the whole answer, waits for the last ack, and stores what became of it. False when the process is
        ending and the next one delivers it.
        """
        if job.pushed:
            await self._store.run(deliveries.mark_written, job.delivery)
        delivery = await bubble.finish(*draft.final())
        if delivery.outcome is Outcome.OWED:
            return False
        await self._store.run(_settle, job, delivery, draft)
        return True


def _settle(db: sqlite3.Connection, job: Job, delivery: Delivery, draft: Draft) -> None:
    """Delivery and turn in one transaction: a crash in between would bring the answer again, in a new bubble."""
    now = datetime.now(UTC)
    state = {Outcome.UNKNOWN: "unknown", Outcome.FAILED: "failed"}.get(delivery.outcome, "acked")
    deliveries.settle(db, job.delivery, state, now, errcode=delivery.errcode)  # type: ignore[arg-type]
    if draft.stopped:
        return
    if draft.error is not None:
        turns.fail(db, job.turn, now, error=draft.error)
    elif delivery.outcome is Outcome.FAILED:
        turns.fail(db, job.turn, now, error=f"wecom_{delivery.errcode}")
    else:
        turns.deliver(db, job.turn, now)

"""One turn: from a stored message to an answer that WeCom has.

    received (on disk) -> first frame -> place in line -> request -> model stream -> answered (on disk) -> last ack

Knows the order of these steps and what is stored at each; how an answer is put together is in `draft`, what a person
may do in `assistant`.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from agent.config import Settings
from agent.model.client import ModelClient
from agent.model.tokens import Ratio, TokenCounter
from agent.store import Store, chats, deliveries, turns
from agent.store.chats import Address
from agent.store.states import IllegalTransition
from agent.wecom import EventReqMsg, Frame, Outcome, ReplyStream, ReqMsg, WecomAIBotWsServer, parse_message

from . import history, prompts, question
from .coalesce import Coalesced
from .draft import Draft
from .line import Place, Places
from .memory import Memory, recall
from .models import default_model
from .prompts import Prompt, Prompts
from .question import Question, for_model
from .words import Words

# A turn that was begun so often and never ended takes the process down with it: it is given up.
ATTEMPTS = 3
# Estimates of tokens are off by some percent (p95 of 16 % was measured on Chinese chats).
HEAD_ROOM = 0.9

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A message that is on disk: everything that answering it takes, now or after a restart."""

    turn: int
    delivery: int
    address: Address
    message: ReqMsg
    question: Question
    stream_id: str
    feedback_id: str

    @property
    def pushed(self) -> bool:
        """Whether the answer comes as a push, because a card's click takes no stream."""
        return isinstance(self.message, EventReqMsg)


class Turns:
    """Answers jobs, one at a time a chat.

    Args:
        settings, store, personas, model, counter, words: the deployment's.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        personas: Prompts,
        model: ModelClient,
        counter: TokenCounter,
        words: Words,
    ) -> None:
        self._settings, self._store, self._prompts = settings, store, personas
        self._model, self._counter, self._words = model, counter, words
        self._ratio = Ratio()
        self._memory = Memory(store, model, counter.count)
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
        await self._show(job, server, sentence)
        return True

    async def answer(self, job: Job, server: WecomAIBotWsServer) -> None:
        """Answers a job whose turn is `received` or `answering`, and stores how it went."""
        try:
            async with server.open_stream(job.message, feedback_id=job.feedback_id, stream_id=job.stream_id) as bubble:
                bubble.open()
                draft = await self._in_line(job, bubble, server)
                await self._deliver(job, bubble, draft)
        except asyncio.CancelledError:
            # The process is ending. The bubble was closed with a note, so the turn, still owed, gets a new one later.
            # A push that was not written has shown nothing and is still to be sent; one that was may not be repeated.
            with contextlib.suppress(IllegalTransition):  # settled already: the cancel came after the last ack
                if not job.pushed:
                    await self._store.run(deliveries.settle, job.delivery, "acked", datetime.now(UTC))
            raise

    async def say(self, job: Job, server: WecomAIBotWsServer, sentence: str) -> None:
        """Answers a job with a sentence of the bot's own."""
        await self._store.run(turns.answer, job.turn, datetime.now(UTC), answer=sentence)
        await self._show(job, server, sentence)

    async def _show(self, job: Job, server: WecomAIBotWsServer, sentence: str) -> None:
        async with server.open_stream(job.message, stream_id=job.stream_id) as bubble:
            await self._deliver(job, bubble, Draft(self._words, text=sentence))

    async def deliver_again(self, job: Job, server: WecomAIBotWsServer, turn: turns.Turn) -> None:
        """Delivers what was answered before a restart: on its old stream if WeCom still takes that, else as a push."""
        draft = Draft(self._words, text=turn.answer or "", thinking=turn.reasoning or "", error=turn.error)
        draft.hides_thinking = self._prompts.choose(job.address.chat_type, job.address.chat_id).reasoning == "hide"
        async with server.open_stream(job.message, feedback_id=job.feedback_id, stream_id=job.stream_id) as bubble:
            await self._deliver(job, bubble, draft)

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
                draft.stopped = True
                work.cancel()

            place.stop = stop
        now = datetime.now(UTC)
        if draft.stopped:
            await self._store.run(turns.cancel, job.turn, now, answer=draft.text)
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
            prompt = self._prompts.choose(job.address.chat_type, job.address.chat_id)
            draft.model = await self._model_for(job, prompt)
            draft.hides_thinking = prompt.reasoning == "hide"
            attempt = await self._store.run(
                turns.start, job.turn, datetime.now(UTC), model=draft.model, feedback_id=job.feedback_id
            )
            if attempt > ATTEMPTS:
                draft.error = "interrupted"
                return
            job = await self._together(job)
            window = await self._window(job, prompt, draft.model, server)
            draft.estimate = round(window.tokens / self._ratio.of(draft.model))
            if window.shortened:
                draft.note = self._words.question_shortened.format(limit=self._settings.context_tokens)
            await self._stream(window.messages, prompt, draft, bubble)
        except asyncio.CancelledError:
            if not draft.stopped:
                raise
        except Exception as error:
            draft.fail(error)

    async def _together(self, job: Job) -> Job:
        """The job with the questions of what was joined to it; nothing joins a turn that has been started."""
        joined = await self._store.run(turns.joined, job.turn)
        if not joined:
            return job
        name = self._settings.bot_name
        asked = (question.of(parse_message(Frame("", one.req_id, dict(one.body)), name)) for one in joined)
        return replace(job, question=question.together([job.question, *asked]))

    async def _model_for(self, job: Job, prompt: Prompt) -> str:
        """The chat's own choice, else the prompt's, else everybody's."""
        chat = await self._store.run(chats.get, job.address.key)
        chosen = chat.model if chat is not None else None
        return chosen or prompt.model or await default_model(self._store, self._settings)

    async def _window(self, job: Job, prompt: Prompt, model: str, server: WecomAIBotWsServer) -> history.Window:
        grouped = job.address.chat_type == "group"
        remembered = await self._store.run(recall, job.address.key, history.EXCHANGES, job.turn)
        speaker = job.message.from_userid or ""
        ratio = self._ratio.of(model)
        system = prompts.render(
            prompt,
            now=datetime.now(UTC),
            timezone=self._settings.timezone,
            bot_name=self._settings.bot_name,
            user=speaker,
            chat_type=job.address.chat_type,
            language=self._settings.language,
        )
        if remembered.summary:
            system = f"{system}\n\n[summary of the older part of this conversation]\n{remembered.summary}"
        budget = int(self._settings.context_tokens * HEAD_ROOM)
        window = history.window(
            system,
            remembered.exchanges,
            for_model(job.question, self._words, speaker if grouped else ""),
            budget,
            lambda text: round(self._counter.count(text) * ratio),
            lambda exchange: exchange.user_id if grouped else "",
        )
        if window.dropped:
            server.start(self._memory.condense(job.address.key, remembered, int(budget / ratio), model))
        return window

    async def _stream(self, messages: list[history.Message], prompt: Prompt, draft: Draft, bubble: ReplyStream) -> None:
        def waiting(seconds: float, _error: Exception) -> None:
            bubble.show("", self._words.retrying.format(seconds=round(seconds)))

        with Coalesced(lambda: bubble.show(*draft.so_far())) as growing:
            async with self._model.stream(
                messages,
                model=draft.model,
                temperature=prompt.temperature,
                max_tokens=self._settings.reply_tokens,
                on_wait=waiting,
            ) as batches:
                async for events in batches:
                    draft.take(events)
                    growing.changed()
        if draft.prompt_tokens:
            self._ratio.learn(draft.model, draft.estimate, draft.prompt_tokens)

    # --- the delivery

    async def _deliver(self, job: Job, bubble: ReplyStream, draft: Draft) -> None:
        """Shows the whole answer, waits for the last ack, and stores what became of it."""
        if job.pushed:
            await self._store.run(deliveries.mark_written, job.delivery)
        delivery = await bubble.finish(*draft.final())
        now = datetime.now(UTC)
        if delivery.outcome is Outcome.OWED:
            return  # the process is ending; the next one delivers it
        state = {Outcome.UNKNOWN: "unknown", Outcome.FAILED: "failed"}.get(delivery.outcome, "acked")
        await self._store.run(deliveries.settle, job.delivery, state, now, errcode=delivery.errcode)  # type: ignore[arg-type]
        if draft.stopped:
            return
        if draft.error is not None:
            await self._store.run(turns.fail, job.turn, now, error=draft.error)
        elif delivery.outcome is Outcome.FAILED:
            await self._store.run(turns.fail, job.turn, now, error=f"wecom_{delivery.errcode}")
        else:
            await self._store.run(turns.deliver, job.turn, now)

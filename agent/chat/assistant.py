"""The assistant: what happens with each message and event of the line, and who may do what.

message -> allowed? -> seen before? (on disk) -> a command? -> within the limits? -> a turn
"""

import logging
import secrets
import sqlite3
from collections import OrderedDict, deque
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from agent.config import Settings
from agent.store import Store, feedback, files, turns
from agent.store.chats import Address
from agent.wecom import (
    EventReqMsg,
    ReqMsg,
    RequestFailed,
    RequestTimeout,
    RspMsg,
    RspTemplateCardMsg,
    RspTextMsg,
    WecomAIBotWsServer,
)

from . import commands, question, welcome
from .commands import Command, Name
from .job import Job, address_of, message_of, new_bubble, new_stream_id
from .orders import Orders
from .prompts import Prompts, render
from .turn import Turns
from .words import Words

MINUTE = 60.0
USERS_REMEMBERED = 10_000

_log = logging.getLogger(__name__)


class Assistant:
    """The handlers of the bot: `handle` for messages, `keep` for those that come while it stops, `handle_event`."""

    def __init__(
        self, settings: Settings, store: Store, prompts: Prompts, answering: Turns, words: Words, bot_id: str
    ) -> None:
        self._settings, self._store, self._prompts = settings, store, prompts
        self._turns, self._words, self._bot_id = answering, words, bot_id
        self._orders = Orders(settings, store, answering, words, bot_id)
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    # --- messages

    async def handle(self, message: ReqMsg, server: WecomAIBotWsServer) -> RspMsg | None:
        """The message handler."""
        address = address_of(message, self._bot_id, self._settings)
        if address is None:
            _log.warning("ignored %r: it names no sender", message)
            return None
        if not self._allowed(message):
            _log.info("refused %r: not on the allow lists", message)
            return RspTextMsg(self._words.not_allowed)
        job, command = await self._take(message, address)
        if job is None:
            _log.info("ignored %r: it was seen before", message)
            return None
        await self._respond(job, command, server)
        return None

    async def keep(self, message: ReqMsg) -> None:
        """The late handler: what is sent while the bot stops is answered by its next run."""
        address = address_of(message, self._bot_id, self._settings)
        if address is not None and self._allowed(message):
            await self._take(message, address)

    async def _take(self, message: ReqMsg, address: Address) -> tuple[Job | None, Command | None]:
        """The message's job, None when it was seen before, and the command that it is."""
        asked = question.of(message)
        plain = not asked.quoted and not asked.media
        command = commands.parse(asked.text, self._settings.bot_name) if plain else None
        return await self._receive(message, message.msg_id or message.req_id, address, asked, command), command

    async def _respond(self, job: Job, command: Command | None, server: WecomAIBotWsServer) -> None:
        if command is not None and command.name is Name.RETRY and await self._retry(job, server):
            return
        sentence = await self._at_once(job, command)
        if sentence is not None:
            await self._turns.say(job, server, sentence)
        elif job.pushed or not await self._turns.join(job, server):
            await self._turns.answer(job, server)

    async def _retry(self, job: Job, server: WecomAIBotWsServer) -> bool:
        """Answers the chat's last question again, or brings an answer again that may never have arrived."""
        turn = await self._orders.to_retry(job)
        if turn is None:
            return False
        if turn.answer and await self._orders.was_lost(turn):
            await self._turns.say(job, server, turn.answer)
            await self._turns.send_files(job, server, turn.id, again=True)
            return True
        unsent = await self._store.run(files.unsent, turn.id) if turn.state == "delivered" else ()
        if unsent:
            await self._turns.say(job, server, self._words.files_again)
            await self._turns.send_files(job, server, turn.id, again=True)
            return True
        limit = await self._limit(job.message.from_userid or "")
        if limit is not None:
            await self._turns.say(job, server, limit)
            return True
        asked = question.of(message_of(turn, self._settings.bot_name))
        if turn.state == "answering":  # nobody is writing it: it failed with the disk full, say
            await self._store.run(turns.fail, turn.id, datetime.now(UTC), error="interrupted")
        await self._store.run(turns.repeat, turn.id, job.turn)
        await self._turns.answer(replace(job, question=asked), server)
        return True

    async def _receive(
        self, message: ReqMsg, msgid: str, address: Address, asked: question.Question, command: Command | None
    ) -> Job | None:
        """Puts the turn and its delivery on disk, in one transaction, before anything else happens."""
        stream_id, feedback_id = new_stream_id(), f"answer_{secrets.token_hex(12)}"

        def write(db: sqlite3.Connection) -> tuple[int, int] | None:
            now = datetime.now(UTC)
            turn = turns.receive(
                db,
                chat=address,
                msgid=msgid,
                req_id=message.req_id,
                user_id=message.from_userid or "",
                kind=asked.kind,
                text=question.stored(asked),
                body=message.body,
                at=now,
                command=command.name.value if command else None,
            )
            if turn is None:
                return None
            return turn, new_bubble(db, turn, message, stream_id)

        written = await self._store.run(write)
        if written is None:
            return None
        return Job(written[0], written[1], address, message, asked, stream_id, feedback_id)

    async def _at_once(self, job: Job, command: Command | None) -> str | None:
        """What is said without asking the model; None when the model has to be asked."""
        if command is not None:
            return await self._orders.carry_out(command, job)
        if job.question.empty:
            known = job.question.kind in ("text", "mixed", "voice", "event")
            return self._words.empty_message if known else self._words.unsupported
        return await self._limit(job.message.from_userid or "")

    def _allowed(self, message: ReqMsg) -> bool:
        users, groups = self._settings.allow_users, self._settings.allow_chats
        if users and message.from_userid not in users:
            return False
        return message.chat_type != "group" or not groups or message.chat_id in groups

    async def _limit(self, user: str) -> str | None:
        """Why this person has to wait, or None."""
        if self._settings.rate_per_user:
            asked = self._asked.setdefault(user, deque())
            self._asked.move_to_end(user)
            if len(self._asked) > USERS_REMEMBERED:
                self._asked.popitem(last=False)
            now = monotonic()
            while asked and asked[0] <= now - MINUTE:
                asked.popleft()
            if len(asked) >= self._settings.rate_per_user:
                return self._words.too_often.format(seconds=round(asked[0] + MINUTE - now) or 1)
            asked.append(now)
        if self._settings.daily_tokens_per_user:
            midnight = datetime.now(self._settings.timezone).replace(hour=0, minute=0, second=0, microsecond=0)
            used = await self._store.run(turns.tokens_since, self._bot_id, user, midnight.astimezone(UTC))
            if used >= self._settings.daily_tokens_per_user:
                return self._words.quota_used
        return None

    # --- events

    async def handle_event(self, event: EventReqMsg, server: WecomAIBotWsServer) -> RspMsg | None:
        """The event handler."""
        match event.event_type:
            case "enter_chat":
                return await self._welcome(event, server)
            case "template_card_event" if welcome.is_ours(event.task_id):
                return await self._clicked(event, server)
            case "feedback_event" if event.feedback is not None:
                await self._store.run(
                    feedback.record,
                    msgid=event.msg_id or event.req_id,
                    feedback_id=event.feedback.id,
                    user_id=event.from_userid or "",
                    type=event.feedback.type,
                    content=event.feedback.content,
                    reasons=event.feedback.reasons,
                    at=datetime.now(UTC),
                )
            case other:
                _log.info("nothing to do for the event %s", other)
        return None

    async def _welcome(self, event: EventReqMsg, server: WecomAIBotWsServer) -> RspMsg | None:
        """The greeting: a card where there are suggestions, text where there are none or the card is refused."""
        if not self._allowed(event):
            return None
        text, suggestions = self._greeting(event)
        if not text or not suggestions:
            return RspTextMsg(text) if text else None
        try:
            await server.reply_message(
                event, RspTemplateCardMsg(welcome.card(text, suggestions, welcome.new_task_id()))
            )
        except RequestFailed as error:
            _log.warning("the welcome card was refused, so the greeting goes as text: %s", error)
            return RspTextMsg(text)
        except RequestTimeout as error:
            # A refused field is told without a req_id (protocol §1.1): a time-out with such a hint. The event's own
            # five seconds are over by then, so what the event's answer becomes now is a push.
            if error.hint is None:
                raise
            _log.warning("the welcome card was probably refused, so the greeting goes as text: %s", error)
            return RspTextMsg(text)
        return None

    def _greeting(self, event: EventReqMsg) -> tuple[str, tuple[str, ...]]:
        """(text, suggestions) of the welcome, both empty without one."""
        prompt = self._prompts.welcome(event.chat_id or "")
        if prompt is None:
            return "", ()
        text = render(
            replace(prompt, language=None),
            now=datetime.now(UTC),
            timezone=self._settings.timezone,
            bot_name=self._settings.bot_name,
            user=event.from_userid or "",
            chat_type="single",
            language=self._settings.language,
        )
        return text, prompt.suggestions

    async def _clicked(self, event: EventReqMsg, server: WecomAIBotWsServer) -> RspMsg | None:
        """A question on the welcome card was chosen: the card shows so at once, the answer follows as a push. A card's
        question is asked once, however often it is clicked.
        """
        address, asked = address_of(event, self._bot_id, self._settings), question.of(event)
        if address is None or not self._allowed(event) or asked.empty:
            return None
        command = commands.parse(asked.text)
        job = await self._receive(event, f"{event.task_id} {asked.text}", address, asked, command)
        if job is not None:
            server.start(self._respond(job, command, server))
        chosen = await self._store.run(turns.asked_by, self._bot_id, f"{event.task_id} ")
        text, suggestions = self._greeting(event)
        return RspTemplateCardMsg(welcome.card(text or asked.text, suggestions, event.task_id or "", chosen))

"""Carrying out commands: each becomes a sentence, and `/retry` a new turn. What the words mean is in `commands`."""

from datetime import UTC, datetime

from agent.config import Settings
from agent.store import Store, chats, deliveries, status, summaries, turns
from agent.store.chats import Address

from .commands import Command, Name
from .job import Job
from .models import DEFAULT_MODEL, default_model, offered
from .turn import Turns
from .words import Words

# How far back `/retry` looks for a question.
TURNS_LOOKED_AT = 20


class Orders:
    """The commands of one bot."""

    def __init__(self, settings: Settings, store: Store, answering: Turns, words: Words, bot_id: str) -> None:
        self._settings, self._store, self._turns = settings, store, answering
        self._words, self._bot_id = words, bot_id

    async def carry_out(self, command: Command, job: Job) -> str:
        """Does what was asked and returns what to say. `/retry` is not for here: see `to_retry`."""
        chat, user = job.address, job.message.from_userid or ""
        match command.name:
            case Name.NEW:
                await self._store.run(chats.forget, chat.key, job.turn)
                await self._store.run(summaries.clear, chat.key)
                return self._words.new_done
            case Name.STOP:
                stopped = self._turns.stop(chat.key, user)
                return {"answer": self._words.stopping, "waiting": self._words.withdrawn}.get(
                    stopped or "", self._words.nothing_to_stop
                )
            case Name.MODEL:
                return await self._model(command.words, chat, user)
            case Name.USAGE:
                return await self._usage(user)
            case Name.SUMMARY:
                found = await self._store.run(summaries.get, chat.key)
                return self._words.summary.format(text=found.text) if found else self._words.no_summary
            case Name.RETRY:
                return self._words.still_answering if self._turns.busy(chat.key) else self._words.nothing_to_retry
            case Name.HELP:
                return self._words.help

    async def to_retry(self, job: Job) -> turns.Turn | None:
        """The person's last question in the chat that went to the model; None without one, or while an answer is being
        written.
        """
        if self._turns.busy(job.address.key):
            return None
        found = await self._store.run(turns.of_chat, job.address.key, TURNS_LOOKED_AT)
        chat = await self._store.run(chats.get, job.address.key)
        since = chat.history_from if chat else 0
        user = job.message.from_userid
        asked = (one for one in reversed(found) if since < one.id != job.turn and one.user_id == user)
        return next((one for one in asked if one.attempts and one.command is None), None)

    async def was_lost(self, turn: turns.Turn) -> bool:
        """Whether an answer was written and never acked: `/retry` then brings the same words again."""
        sent = [one for one in await self._store.run(deliveries.of_turn, turn.id) if one.kind != "media"]
        return bool(turn.answer) and turn.error is None and any(one.state == "unknown" for one in sent)

    async def _model(self, words: tuple[str, ...], chat: Address, user: str) -> str:
        offers = offered(self._settings)
        default = await default_model(self._store, self._settings)
        found = await self._store.run(chats.get, chat.key)
        current = (found.model if found else None) or default
        if not words:
            lines = "\n".join(f"- {'**' + name + '** ✓' if name == current else name}" for name in offers)
            return self._words.models.format(current=current, models=lines)
        for_all = len(words) > 1 and words[0].lower() in ("default", "默认")
        wanted = words[-1]
        if len(words) > 1 and not for_all:
            return self._words.help
        if for_all and user not in self._settings.admins:
            return self._words.admins_only
        name = next((one for one in offers if one.lower() == wanted.lower()), None)
        if name is None:
            return self._words.model_unknown.format(name=wanted, models=", ".join(offers))
        if for_all:
            await self._store.run(status.put, {DEFAULT_MODEL: name}, datetime.now(UTC))
            return self._words.model_default.format(name=name)
        await self._store.run(chats.choose_model, chat.key, None if name == default else name)
        return self._words.model_chosen.format(name=name)

    async def _usage(self, user: str) -> str:
        midnight = datetime.now(self._settings.timezone).replace(hour=0, minute=0, second=0, microsecond=0)
        today = await self._store.run(turns.tokens_since, self._bot_id, user, midnight.astimezone(UTC))
        month = await self._store.run(turns.tokens_since, self._bot_id, user, midnight.replace(day=1).astimezone(UTC))
        limit = self._settings.daily_tokens_per_user
        return self._words.usage.format(
            today=f"{today:,}", month=f"{month:,}", limit=f"{limit:,}" if limit else self._words.no_limit
        )

"""Getting an answer into a draft: which model is asked what, and who steps in when it cannot.

    what joined, what was attached -> prompt, model -> request -> agent loop -> what the endpoint counted

Knows routes (vision, fall-back) and learns from answers. Does not know bubbles or deliveries (`turn`).
"""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from agent.config import Settings
from agent.model.client import ModelClient
from agent.model.errors import BadAnswer, BadRequest, ModelError, ModelMissing, Overloaded, Refused, TooLong
from agent.model.tokens import Ratio, TokenCounter
from agent.store import Store, chats, files, turns
from agent.tools.toolbox import Toolbox
from agent.wecom import Frame, ReplyStream, WecomAIBotWsServer, parse_message

from . import loop, notes, question
from .attachments import Attachments
from .coalesce import Coalesced
from .draft import Draft
from .job import Job
from .memory import Memory
from .models import default_model
from .prompts import Prompt, Prompts
from .request import Request, Requests, encode
from .words import Words
from .workbench import Workbench

# A turn that was begun so often and never ended takes the process down with it: it is given up.
ATTEMPTS = 3
# Of the context, what the tools' schemas may take (about 2,600 tokens for all of them).
TOOLS_SHARE = 0.5
# So long what was sent alone waits for its question.
WAITING = timedelta(minutes=30)
# A model that refused pictures is not shown any for so long. It may have been one odd picture: it is tried again.
BLIND_SECONDS = 600.0
# How servers that answer 500 to pictures (llama.cpp) say that these are the reason.
_PICTURES = re.compile(r"image|vision|multimodal|mmproj", re.IGNORECASE)

_log = logging.getLogger(__name__)


class Conversation:
    """Answers questions with the model.

    Args:
        settings, store, personas, model, counter, words, attachments, workbench: the deployment's.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        personas: Prompts,
        model: ModelClient,
        counter: TokenCounter,
        words: Words,
        attachments: Attachments,
        workbench: Workbench,
    ) -> None:
        self._settings, self._store, self._prompts = settings, store, personas
        self._model, self._counter, self._words = model, counter, words
        self._attachments, self._workbench = attachments, workbench
        self._requests = Requests(settings, store, attachments)
        self._memory = Memory(store, model, counter.count)
        self._ratio = Ratio()
        self._blind: dict[str, float] = {}  # models that refused pictures, and until when that is believed

    def prompt(self, job: Job) -> Prompt:
        """The persona of the job's chat. Raises PromptError where no file can be used."""
        return self._prompts.choose(job.address.chat_type, job.address.chat_id)

    async def answer(self, job: Job, draft: Draft, bubble: ReplyStream, server: WecomAIBotWsServer) -> None:
        """Fills the draft; files that came without a question are acknowledged without asking the model.

        Raises:
            ModelError: no model gave a complete answer.
        """
        prompt = self.prompt(job)
        draft.hides_thinking = prompt.reasoning == "hide"
        draft.model = await self._model_for(job, prompt)
        now, user = datetime.now(UTC), job.message.from_userid or ""
        attempt = await self._store.run(turns.start, job.turn, now, model=draft.model, feedback_id=job.feedback_id)
        if attempt > 1:
            await self._store.run(files.discard, job.turn)
        if attempt > ATTEMPTS:
            draft.error = "interrupted"
            return
        job = await self._together(job)
        await self._attachments.fetch(job.address.key, job.turn, job.question, server)
        received = list(await self._store.run(files.received, job.turn))
        if job.question.wordless:
            draft.text, draft.acknowledges = notes.acknowledgement(received, self._words), True
            return
        draft.notes += notes.trouble(received, self._words)  # of those that came alone it was said already
        await self._store.run(files.claim, job.address.key, user, now - WAITING, job.turn)
        await self._try_models(job, prompt, draft, bubble, server)

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

    # --- routes

    async def _try_models(
        self, job: Job, prompt: Prompt, draft: Draft, bubble: ReplyStream, server: WecomAIBotWsServer
    ) -> None:
        """Asks the model, and while nothing was said the ones that step in; for the model that sees nobody does."""
        models = list(dict.fromkeys((draft.model, *self._settings.openai_fallback_models)))
        for model in models:
            try:
                await self._see(job, prompt, draft, model, bubble, server)
                break
            except ModelError as error:
                mine = isinstance(error, BadRequest | TooLong | Refused | BadAnswer)
                if mine or draft.model != model or model == models[-1] or draft.text.strip() or draft.steps:
                    raise
                _log.warning("the model %r failed (%s); the next one steps in", model, error)
                draft.thinking = ""

    async def _see(
        self, job: Job, prompt: Prompt, draft: Draft, model: str, bubble: ReplyStream, server: WecomAIBotWsServer
    ) -> None:
        """Asks with the pictures in view. Where there are any, OPENAI_VISION_MODEL takes the whole turn when it is set:
        a description by it would lose what the next question is about, and cost a request more.

        Without it, a model that refuses pictures is asked without them, and the person told what is missing.
        """
        vision = self._settings.openai_vision_model
        can_see = bool(vision) or self._blind.get(model, 0.0) < monotonic()
        request = await self._compose(job, prompt, draft, model, can_see)
        if vision and vision != model and request.window.pictures:
            model = vision
            request = await self._compose(job, prompt, draft, model, sees=True)
        try:
            await self._converse(request, job, prompt, draft, model, bubble, server)
        except (BadRequest, ModelMissing, Overloaded) as error:
            if vision or not request.window.pictures or draft.text.strip() or draft.steps:
                raise
            if isinstance(error, Overloaded) and not _PICTURES.search(error.said):
                raise
            unseen = await self._compose(job, prompt, draft, model, sees=False)
            await self._converse(unseen, job, prompt, draft, model, bubble, server)
            self._blind[model] = monotonic() + BLIND_SECONDS
            can_see = False
            _log.warning("the model %r takes no pictures; set OPENAI_VISION_MODEL to one that does", model)
        if not can_see and self._has_pictures(await self._store.run(files.received, job.turn)):
            draft.notes.append(self._words.pictures_unseen)

    @staticmethod
    def _has_pictures(received: tuple[files.File, ...]) -> bool:
        return any(file.facts.get("views") for file in received)

    def _count(self, model: str) -> Callable[[str], int]:
        ratio = self._ratio.of(model)
        return lambda text: round(self._counter.count(text) * ratio)

    def _toolbox(self, job: Job, prompt: Prompt, draft: Draft, count: Callable[[str], int]) -> Toolbox:
        """The turn's tools; none where their schemas would leave too little of a small context to talk in."""
        toolbox = self._workbench.toolbox(job, prompt, draft)
        most = int(self._settings.context_tokens * TOOLS_SHARE)
        if toolbox.tokens(count) <= most:
            return toolbox
        _log.warning("the tools are left out: AGENT_CONTEXT_TOKENS is too small for them")
        return Toolbox()

    async def _compose(self, job: Job, prompt: Prompt, draft: Draft, model: str, sees: bool) -> Request:
        count = self._count(model)
        toolbox = self._toolbox(job, prompt, draft, count)
        return await self._requests.compose(job, prompt, count=count, toolbox=toolbox, sees=sees)

    async def _converse(
        self,
        request: Request,
        job: Job,
        prompt: Prompt,
        draft: Draft,
        model: str,
        bubble: ReplyStream,
        server: WecomAIBotWsServer,
    ) -> None:
        def waiting(seconds: float, _error: Exception) -> None:
            bubble.show("", self._words.retrying.format(seconds=round(seconds)))

        draft.model, window = model, request.window
        count = self._count(model)
        toolbox = self._toolbox(job, prompt, draft, count)
        if window.shortened:
            limit = self._words.question_shortened.format(limit=self._settings.context_tokens)
            draft.notes = [*(note for note in draft.notes if note != limit), limit]
        if request.left_out and self._words.pictures_left_out not in draft.notes:
            draft.notes.append(self._words.pictures_left_out)
        try:
            with Coalesced(lambda: bubble.show(*draft.so_far())) as growing:
                await loop.run(
                    self._model,
                    await encode(window.entries),
                    draft,
                    model=model,
                    toolbox=toolbox,
                    limits=loop.Limits(tokens=max(0, request.budget - window.tokens)),
                    count=count,
                    changed=growing.changed,
                    on_wait=waiting,
                    temperature=prompt.temperature,
                    max_tokens=self._settings.reply_tokens,
                )
        finally:
            if draft.prompt_tokens is None and (draft.text or draft.thinking or draft.steps):
                # The endpoint did not say, or was not let finish: a limit that counts nothing would be none.
                draft.prompt_tokens = window.tokens + toolbox.tokens(count)
                draft.completion_tokens = count(draft.text + draft.thinking)
        if draft.made and not draft.text.strip():
            draft.text = self._words.files_made
        if draft.first_prompt_tokens and not window.pictures:
            estimate = (window.tokens + toolbox.tokens(count)) / self._ratio.of(model)
            self._ratio.learn(model, round(estimate), draft.first_prompt_tokens)
        if window.dropped:
            budget = int(request.budget / self._ratio.of(model))
            server.start(self._memory.condense(job.address.key, request.remembered, budget, model))

"""Which tools a turn has: what makes files and what reads the chat's files, less what the prompt leaves out.

Knows how tools reach storage: what is made is stored before the model hears of it, with the call that made it, so that
a later call can change it. What the tools do is in `agent.tools`.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from agent.config import Settings
from agent.files.extract import Unreadable
from agent.model.client import ModelClient
from agent.model.errors import ModelError
from agent.model.stream import Text, Usage
from agent.store import Store, files
from agent.store.blobs import Blobs
from agent.store.files import File
from agent.tools import charts, documents, images, reading, slides, spreadsheets
from agent.tools.made import SIZE_LEAST, Made, ToolInputError
from agent.tools.toolbox import Tool, Toolbox

from .artefacts import shown_name
from .attachments import Attachments
from .draft import Draft
from .history import Entry
from .job import Job
from .prompts import Prompt
from .request import FILES_REMEMBERED, encode

TRANSCRIBE = "Write down everything that stands on this page, as Markdown, without comments."
SENT = "It is sent to the user right after your answer. Do not link to it and do not repeat its content."

_log = logging.getLogger(__name__)


class Workbench:
    """Makes the toolbox of a turn.

    Args:
        settings, store, blobs, attachments, model, count: the deployment's.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        blobs: Blobs,
        attachments: Attachments,
        model: ModelClient,
        count: Callable[[str], int],
    ) -> None:
        self._settings, self._store, self._blobs = settings, store, blobs
        self._attachments, self._model, self._count = attachments, model, count

    def toolbox(self, job: Job, prompt: Prompt, draft: Draft) -> Toolbox:
        """The tools that the prompt allows and the deployment has; what they make goes into `draft.made`."""
        builders: list[ModuleType] = [documents, spreadsheets, slides]
        if charts.available():
            builders.append(charts)
        tools = [self._builder(module, job, draft) for module in builders]
        if self._settings.openai_image_model:
            tools.append(self._painter(job, draft))
        tools += reading.tools(
            lambda name: self._find(job, name),
            self._attachments.extract,
            self._count,
            lambda file, page: self._transcribe(file, page, draft),
        )
        return Toolbox(tool for tool in tools if prompt.tools is None or tool.name in prompt.tools)

    def _builder(self, module: ModuleType, job: Job, draft: Draft) -> Tool:
        async def run(arguments: Mapping[str, Any]) -> str:
            arguments = await self._based(module, job, arguments)
            made = await asyncio.to_thread(module.build, arguments)
            return await self._keep(module.NAME, job, draft, arguments, made)

        return Tool(module.NAME, module.DESCRIPTION, module.PARAMETERS, run)

    def _painter(self, job: Job, draft: Draft) -> Tool:
        async def run(arguments: Mapping[str, Any]) -> str:
            made = await images.draw(arguments, self._model, self._settings.openai_image_model)
            return await self._keep(images.NAME, job, draft, arguments, made)

        return Tool(images.NAME, images.DESCRIPTION, images.PARAMETERS, run)

    async def _based(self, module: ModuleType, job: Job, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The whole arguments of a call that only names what changes in an earlier file."""
        name = arguments.get("based_on")
        if not name or not hasattr(module, "revise"):
            return arguments
        file = await self._find(job, str(name))
        if file.origin == "received":  # what the bot made comes back when it is quoted
            known = await self._store.run(files.of_chat, job.address.key, FILES_REMEMBERED)
            file = next((one for one in known if one.origin == "made" and one.sha256 == file.sha256), file)
        source = json.loads(file.source or "{}") if file.origin == "made" else {}
        if source.get("tool") != module.NAME:
            raise ToolInputError(f"{file.name!r} was not made by {module.NAME}; read it and send everything instead")
        revised: Mapping[str, Any] = module.revise(source["arguments"], arguments)
        return revised

    async def _keep(self, tool: str, job: Job, draft: Draft, arguments: Mapping[str, Any], made: Made) -> str:
        if len(made.data) < SIZE_LEAST:
            raise ToolInputError(
                f"the file has {len(made.data)} bytes and WeCom takes none so small: write more into it"
            )
        sha256 = await asyncio.to_thread(self._blobs.put, made.data)
        file = await self._store.run(
            files.add,
            chat=job.address.key,
            turn=job.turn,
            origin="made",
            kind="image" if made.mime in ("image/png", "image/jpeg") else "file",
            name=made.name,
            mime=made.mime,
            size=len(made.data),
            sha256=sha256,
            facts={"summary": made.summary},
            at=datetime.now(UTC),
            source=json.dumps({"tool": tool, "arguments": dict(arguments)}, ensure_ascii=False),
        )
        draft.made.append(file)
        version = f" (version {file.version})" if file.version > 1 else ""
        return f"Made file {file.id}: {file.name}{version}. {made.summary} {SENT}"

    async def _transcribe(self, file: File, number: int, draft: Draft) -> str:
        """What stands on a scanned page, by the model that sees; what that costs counts as the answer's."""
        try:
            page = await self._attachments.page(file, number)
        except Unreadable as error:
            raise ToolInputError(f"page {number} of {file.name!r} cannot be shown: {error.code}") from None
        content = await encode([Entry("user", (TRANSCRIBE, page))])
        text = ""
        try:
            model = self._settings.openai_vision_model or draft.model
            limit = self._settings.reply_tokens
            async with self._model.stream(content, model=model, max_tokens=limit) as batches:
                async for events in batches:
                    draft.take(event for event in events if isinstance(event, Usage))
                    text += "".join(event.text for event in events if isinstance(event, Text))
        except ModelError as error:
            _log.warning("a scanned page could not be transcribed: %s", error)
            raise ToolInputError(
                f"page {number} of {file.name!r} is a scan, and the model that should read it failed ({error.code}); "
                "tell the user that OPENAI_VISION_MODEL has to name a model that sees"
            ) from None
        return text

    async def _find(self, job: Job, name: str) -> File:
        """The newest file of the chat with this name or number. Raises ToolInputError."""
        known = await self._store.run(files.of_chat, job.address.key, FILES_REMEMBERED)
        return choose(known, name)


def choose(known: tuple[File, ...], name: str) -> File:
    """The newest of `known` that `name` means: a number, a name, or a part of one that fits a single name."""
    wanted = name.strip().strip("《》\"'").casefold()
    number = wanted.removeprefix("file").removeprefix("#").strip()
    for file in reversed(known):
        if number == str(file.id) or wanted in (file.name.casefold(), shown_name(file).casefold()):
            return file
    similar = [file for file in reversed(known) if wanted and wanted in file.name.casefold()]
    if similar and len({file.name for file in similar}) == 1:
        return similar[0]
    names = ", ".join(f"{file.id}: {file.name}" for file in known) or "none"
    raise ToolInputError(f"this chat has no file {name!r}; it has {names}")

"""Prompt files: one Markdown file is one persona, its YAML front matter that persona's settings.

Knows the files' syntax, which file a chat uses, and what the variables stand for. A changed file applies to the next
use; one that was broken by the change keeps serving as it was before, and the fault is logged once. It does not know
the model, nor what tools do.
"""

import logging
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml

from agent.tools import NAMES as TOOLS

logger = logging.getLogger(__name__)

VARIABLES = ("date", "time", "timezone", "bot_name", "user", "chat_type")

# A prompt goes to the model with every message; what is longer than this is a file in the wrong folder.
MAX_BYTES = 200_000

# A card's buttons: at most six, and a key of at most 1024 bytes (protocol §16).
MAX_SUGGESTIONS = 6
MAX_SUGGESTION_BYTES = 1024

_VARIABLE = re.compile(r"\{\{([^{}\n]*)\}\}")
_FENCE = re.compile(r"---[ \t]*")

_DAYS = {
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_CHAT_TYPES = {
    "zh": {"single": "单聊", "group": "群聊"},
    "en": {"single": "a single chat", "group": "a group chat"},
}
_ANSWER_IN = {
    "zh": "不论提问用什么语言，一律用以下语言回答：{}。",
    "en": "Whatever the language of the question, answer in this language: {}.",
}
_NAMELESS = {"zh": "智能助手", "en": "the assistant"}


class PromptError(Exception):
    """A prompt file that cannot be used: which file, which line, what is wrong, what to do."""

    def __init__(self, file: str, line: int | None, problem: str) -> None:
        self.file, self.line, self.problem = file, line, problem
        super().__init__(f"{file}{'' if line is None else f' line {line}'}: {problem}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A parsed file. None means that the file does not say; an empty `tools` means none are allowed."""

    name: str
    text: str
    model: str | None = None
    temperature: float | None = None
    tools: tuple[str, ...] | None = None
    language: str | None = None
    reasoning: Literal["show", "hide"] | None = None
    welcome: str | None = None
    suggestions: tuple[str, ...] = ()


def parse(source: str, file: str) -> Prompt:
    """The prompt in a file's text. `file` names it in errors; its last part, without `.md`, is the prompt's name.

    Raises PromptError for front matter that is not YAML, an unknown key, a value of the wrong kind, an unknown
    variable, or no text at all.
    """
    lines = source.lstrip("\ufeff").replace("\r\n", "\n").split("\n")
    front: dict[str, Any] = {}
    start = 0
    if _FENCE.fullmatch(lines[0]):
        end = next((number for number, line in enumerate(lines[1:], 1) if _FENCE.fullmatch(line)), None)
        if end is None:
            raise PromptError(file, 1, "the front matter is not closed; put a line '---' after it")
        front = _front_matter("\n".join(lines[1:end]), file)
        start = end + 1
    for number, line in enumerate(lines[start:], start + 1):
        if unknown := _unknown_variable(line):
            raise PromptError(file, number, unknown)
    text = "\n".join(lines[start:]).strip()
    if not text:
        raise PromptError(file, None, "is empty; write the instructions for the model, or remove the file")
    return Prompt(name=Path(file).name.removesuffix(".md"), text=text, **front)


def _unknown_variable(text: str) -> str:
    """What is wrong with the variables in `text`, or empty."""
    for name in _VARIABLE.findall(text):
        if name.strip() not in VARIABLES:
            known = " ".join(f"{{{{{each}}}}}" for each in VARIABLES)
            return f"unknown variable '{{{{{name}}}}}'; there are {known}"
    return ""


def render(
    prompt: Prompt,
    *,
    now: datetime,
    timezone: ZoneInfo,
    bot_name: str,
    user: str,
    chat_type: Literal["single", "group"],
    language: Literal["zh", "en"],
) -> str:
    """The prompt's text with its variables filled in, and its `language`, if it sets one, as a last sentence.

    `now` is aware; `language` is that of dates and words. Values are put in as they are, on one line: a variable's
    spelling inside a value stays text.
    """
    local = now.astimezone(timezone)
    values = {
        "date": f"{local:%Y-%m-%d} {_DAYS[language][local.weekday()]}",
        "time": f"{local:%H:%M}",
        "timezone": timezone.key,
        "bot_name": bot_name or _NAMELESS[language],
        "user": user,
        "chat_type": _CHAT_TYPES[language][chat_type],
    }
    text = _VARIABLE.sub(lambda match: " ".join(values[match[1].strip()].split()), prompt.text)
    return f"{text}\n\n{_ANSWER_IN[language].format(prompt.language)}" if prompt.language else text


class Prompts:
    """The prompt files of a folder, or the packaged ones where the folder does not exist.

    Reads the disk (under 0.1 ms a choice while nothing changes). Safe to use from several threads.
    """

    def __init__(
        self, folder: Path, *, group: str = "group", single: str = "single", language: Literal["zh", "en"] = "zh"
    ) -> None:
        self._wanted, self._language = folder, language
        self._names: Mapping[str, str] = MappingProxyType({"group": group, "single": single})
        # Replaced as a whole, path by path: what a file was when it was last looked at, and the last good prompt.
        self._seen: dict[Path, tuple[tuple[int, int, int], Prompt | None, str | None]] = {}
        self._told: set[str] = set()

    @property
    def folder(self) -> Path:
        """Where the prompts come from at this moment."""
        return self._wanted if self._wanted.is_dir() else packaged()

    def choose(self, chat_type: Literal["single", "group"], chat_id: str) -> Prompt:
        """The prompt of a chat: `chats/<chat id>.md`, else the one set for its type, else `default.md`, else the
        packaged default. A file that is absent or was never good is passed over. `chat_id` (a user id in single chats)
        is only ever compared with names in the folder, case included.
        """
        folder = self.folder
        own = _listed(folder / "chats").get(f"{chat_id}.md")
        typed = folder / f"{self._names[chat_type]}.md"
        for path in (own, typed, folder / "default.md", packaged() / "default.md"):
            if path is not None and (prompt := self._load(path)) is not None:
                return prompt
        raise PromptError(str(packaged() / "default.md"), None, "is missing; install the program again")

    def welcome(self, chat_id: str) -> Prompt | None:
        """What to say on `enter_chat`: the `welcome` of the prompt that the chat uses, with its suggestions, else
        `welcome.en.md` where English is set, else `welcome.md`. None without any.
        """
        persona = self.choose("single", chat_id)
        if persona.welcome:
            return replace(persona, text=persona.welcome)
        own = self._load(self.folder / f"welcome.{self._language}.md")
        return own or self._load(self.folder / "welcome.md")

    def problems(self) -> tuple[str, ...]:
        """What is wrong now, one sentence each, for every file in the folder and for the settings that name one."""
        folder = self.folder
        files = [*_listed(folder).values(), *_listed(folder / "chats").values()]
        for path in files:
            self._load(path)
        found = [self._seen[path][2] for path in files if path in self._seen]
        for chat_type, name in self._names.items():
            if f"{name}.md" not in _listed(folder) and name != chat_type:
                found.append(
                    f"AGENT_PROMPT_{chat_type.upper()}: no {name + '.md'!r} in {str(self._wanted)!r}; add it, or name "
                    "one that is there"
                )
        return tuple(problem for problem in found if problem)

    def _load(self, path: Path) -> Prompt | None:
        """The file's prompt, as it is or as it last was good; None without the file, or if it never was good."""
        try:
            status = path.stat()
        except OSError:
            self._seen.pop(path, None)
            return None
        state = (status.st_mtime_ns, status.st_size, status.st_ino)
        before = self._seen.get(path)
        if before is not None and before[0] == state:
            return before[1]
        prompt: Prompt | None
        problem: str | None
        try:
            prompt, problem = _read(path, status.st_size), None
        except PromptError as error:
            prompt, problem = (before[1] if before else None), str(error)
            kept = "its last good version stays in use" if prompt else "it is not used"
            if problem not in self._told:
                logger.error("prompt %s (%s)", problem, kept)
                self._told.add(problem)
        else:
            # Said again if the file breaks again in the same way.
            self._told = {each for each in self._told if not each.startswith(str(path))}
        self._seen[path] = (state, prompt, problem)
        return prompt


def packaged() -> Path:
    """The prompts that come with the program: inside the package, or in a checkout at its top."""
    package = Path(__file__).parent.parent
    inside = package / "prompts"
    return inside if inside.is_dir() else package.parent / "prompts"


def _listed(folder: Path) -> dict[str, Path]:
    """The prompt files that a folder really lists, by name: on some disks a path opens under other spellings too."""
    try:
        return {each.name: each for each in sorted(folder.iterdir()) if each.name.endswith(".md") and each.is_file()}
    except OSError:
        return {}


def _read(path: Path, size: int) -> Prompt:
    if size > MAX_BYTES:
        raise PromptError(str(path), None, f"has {size} bytes, the most is {MAX_BYTES}; shorten it or move it away")
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise PromptError(str(path), None, f"byte {error.start + 1} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise PromptError(str(path), None, f"cannot be read ({error.strerror}); give this user access") from None


# --- front matter


_REMEDY = "write 'key: value' lines"


def _front_matter(text: str, file: str) -> dict[str, Any]:
    """The known keys with their checked values. Lines count from the file's first, which is the fence."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise PromptError(file, line, f"the front matter is not YAML ({error.problem}); {_REMEDY}") from None
    except Exception as error:  # odd numbers, dates and keys raise whatever they meet
        raise PromptError(file, 1, f"the front matter is not YAML ({error!r}); {_REMEDY}") from None
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise PromptError(file, 2, f"the front matter holds no settings; {_REMEDY}")
    checked: dict[str, Any] = {}
    for key_node, _ in node.value:
        line = key_node.start_mark.line + 2
        key = str(key_node.value)
        if key not in _KEYS:
            raise PromptError(file, line, f"unknown key {key!r}; there are {', '.join(_KEYS)}")
        if key in checked:
            raise PromptError(file, line, f"{key!r} stands twice; remove one")
        try:
            checked[key] = _KEYS[key](values.get(key))
        except ValueError as error:
            raise PromptError(file, line, f"{key!r} {error}") from None
    return {key: value for key, value in checked.items() if value is not None}


def _word(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ValueError(f"is {reprlib.repr(value)}, not a text; put it in quotes")
    return value.strip() if value else None


def _temperature(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise ValueError(f"is {reprlib.repr(value)}; give a number from 0 to 2")
    return float(value)


def _words(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValueError("is not a list of texts; write [one, two], and put numbers in quotes")
    return tuple(each.strip() for each in value)


def _tools(value: Any) -> tuple[str, ...] | None:
    tools = _words(value)
    for each in tools or ():
        if each not in TOOLS:
            raise ValueError(f"has an unknown tool {each!r}; there are {', '.join(TOOLS)}")
    return tools


def _welcome(value: Any) -> str | None:
    text = _word(value)
    if text is not None and (unknown := _unknown_variable(text)):
        raise ValueError(f"has an {unknown}")
    return text


def _reasoning(value: Any) -> str | None:
    if value not in (None, "show", "hide"):
        raise ValueError(f"is {reprlib.repr(value)}; give show or hide")
    return str(value) if value else None


def _suggestions(value: Any) -> tuple[str, ...] | None:
    suggestions = _words(value)
    if suggestions is None:
        return None
    if len(suggestions) > MAX_SUGGESTIONS:
        raise ValueError(f"has {len(suggestions)} entries; a card has room for {MAX_SUGGESTIONS}")
    for each in suggestions:
        if len(each.encode()) > MAX_SUGGESTION_BYTES or "\n" in each:
            raise ValueError(f"has an entry that is too long for a button ({each[:20]!r}...); make it one short line")
    return suggestions


_KEYS = {
    "model": _word,
    "temperature": _temperature,
    "tools": _tools,
    "language": _word,
    "reasoning": _reasoning,
    "welcome": _welcome,
    "suggestions": _suggestions,
}

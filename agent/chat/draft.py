"""An answer while it is written: what the model said so far, and what the bubble shows of it."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic

from agent.model.errors import ModelError
from agent.model.stream import Event, Finished, Text, TextWasThinking, Thinking, ThinkingWasText, Usage
from agent.store.files import File

from .dialect import shown
from .words import Words

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Step:
    """One call of a tool, as the think block shows it."""

    label: str
    began: float
    seconds: float | None = None
    failed: bool = False

    def line(self, words: Words) -> str:
        if self.seconds is None:
            return words.step_running.format(label=self.label, seconds=round(monotonic() - self.began))
        ended = words.step_failed if self.failed else words.step_done
        return ended.format(label=self.label, seconds=f"{self.seconds:.1f}")


@dataclass(slots=True)
class Draft:
    """`text` and `thinking` as the model wrote them; `error` is the short code of what ended it early.

    Tokens are summed over the rounds of a turn; `first_prompt_tokens` are the first request's. `acknowledges` says that
    the text is the bot's own about files that came alone, `made` what tools made.
    """

    words: Words
    text: str = ""
    thinking: str = ""
    error: str | None = None
    notes: list[str] = field(default_factory=list)
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first_prompt_tokens: int | None = None
    stopped: bool = False
    cut_short: bool = False
    hides_thinking: bool = False
    acknowledges: bool = False
    steps: list["Step"] = field(default_factory=list)
    made: list[File] = field(default_factory=list)
    _text_before: int = 0  # of earlier rounds
    _thinking_before: int = 0

    def take(self, events: Iterable[Event]) -> None:
        """Adds what the model said."""
        for event in events:
            match event:
                case Text(text):
                    self.text += text
                case Thinking(text):
                    self.thinking += text
                case TextWasThinking():
                    self.thinking += self.text[self._text_before :]
                    self.text = self.text[: self._text_before]
                case ThinkingWasText():
                    self.thinking = self.thinking[: self._thinking_before]
                case Usage(prompt, completion, _):
                    self.first_prompt_tokens = self.first_prompt_tokens or prompt
                    self.prompt_tokens = (self.prompt_tokens or 0) + prompt
                    self.completion_tokens = (self.completion_tokens or 0) + completion
                case Finished(reason):
                    self.cut_short = reason == "length"
                case _:
                    pass

    def begin_round(self) -> None:
        """The model speaks again: what it said before its tools stays, as a paragraph of its own."""
        if self.text.strip():
            self.text = self.text.rstrip() + "\n\n"
        if self.thinking.strip():
            self.thinking = self.thinking.rstrip() + "\n\n"
        self._text_before, self._thinking_before = len(self.text), len(self.thinking)

    def begin_step(self, tool: str) -> "Step":
        """A tool begins to work."""
        step = Step(self.words.tool(tool), monotonic())
        self.steps.append(step)
        return step

    def end_step(self, step: "Step", *, failed: bool) -> None:
        step.seconds, step.failed = monotonic() - step.began, failed

    def fail(self, error: Exception) -> None:
        """Notes what ended the answer; the details go to the log, without anybody's words."""
        if isinstance(error, ModelError):
            self.error = error.code
            _log.warning("the model gave no complete answer: %s: %s", error.code, error)
            if error.said:
                _log.debug("the endpoint said: %s", error.said)
        else:
            self.error = "internal"
            _log.error("a turn failed", exc_info=error)

    def so_far(self) -> tuple[str, str]:
        """(text, thinking) for the growing bubble."""
        # The fold shows a part of it, which may begin inside code: no picture at all, then.
        thinking = "" if self.hides_thinking else self.thinking.strip().replace("![", "[")
        steps = "\n".join(step.line(self.words) for step in self.steps)
        return shown(self.text, growing=True), "\n\n".join(filter(None, (thinking, steps)))

    def final(self) -> tuple[str, str]:
        """(text, thinking) for the finished bubble, with the notes that a person needs to see."""
        text, thinking = shown(self.text), self.so_far()[1]
        notes = list(self.notes)
        if self.stopped:
            notes.append(self.words.stopped)
        elif self.error is not None:
            sentence = self.words.error(self.error)
            notes.append(self.words.after_text.format(sentence=sentence) if text.strip() else sentence)
        elif self.cut_short:
            notes.append(self.words.cut_short)
        return "\n\n".join(filter(None, (text.rstrip(), *notes))), thinking

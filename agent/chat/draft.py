"""An answer while it is written: what the model said so far, and what the bubble shows of it. Pure."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from agent.model.errors import ModelError
from agent.model.stream import Event, Finished, Text, TextWasThinking, Thinking, Usage

from .dialect import shown
from .words import Words

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Draft:
    """`text` and `thinking` as the model wrote them; `error` is the short code of what ended it early."""

    words: Words
    text: str = ""
    thinking: str = ""
    error: str | None = None
    note: str = ""
    model: str = ""
    estimate: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    stopped: bool = False
    cut_short: bool = False
    hides_thinking: bool = False

    def take(self, events: Iterable[Event]) -> None:
        """Adds what the model said."""
        for event in events:
            match event:
                case Text(text):
                    self.text += text
                case Thinking(text):
                    self.thinking += text
                case TextWasThinking():
                    self.thinking, self.text = self.thinking + self.text, ""
                case Usage(prompt, completion, _):
                    self.prompt_tokens, self.completion_tokens = prompt, completion
                case Finished(reason):
                    self.cut_short = reason == "length"
                case _:
                    pass

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
        return shown(self.text), "" if self.hides_thinking else self.thinking

    def final(self) -> tuple[str, str]:
        """(text, thinking) for the finished bubble, with the notes that a person needs to see."""
        text, thinking = self.so_far()
        notes = [self.note] if self.note else []
        if self.stopped:
            notes.append(self.words.stopped)
        elif self.error is not None:
            sentence = self.words.error(self.error)
            notes.append(self.words.after_text.format(sentence=sentence) if text.strip() else sentence)
        elif self.cut_short:
            notes.append(self.words.cut_short)
        return "\n\n".join(filter(None, (text.rstrip(), *notes))), thinking

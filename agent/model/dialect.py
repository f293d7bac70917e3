"""Which of the optional parameters an endpoint takes, learnt from its refusals.

Knows how endpoints name a parameter that they do not want. Does not know HTTP. OpenAI's newer models want
``max_completion_tokens`` and no temperature, small servers know no ``stream_options``, Ollama refuses ``tools`` for
models without them: none of this can be asked beforehand, and all of it is said in the 400 that refuses the request.
"""

import logging
import re
from typing import Any

from agent.model.errors import BadRequest, ModelError, TooLong

logger = logging.getLogger(__name__)

_CORE = frozenset({"model", "messages", "stream"})
_LIMIT, _NEW_LIMIT = "max_tokens", "max_completion_tokens"
# A complaint about one tool's schema is the caller's bug; only an endpoint without tools is worth going on without.
# Routers say it with a 404 (OpenRouter), llama.cpp with a 500.
_NO_TOOLS = re.compile(
    r"not support tools|tools? (use|calling)? ?(is|are) not supported|enable-auto-tool-choice|that support tool use"
    r"|tools param requires",
    re.IGNORECASE,
)


class Dialect:
    """What each model of one endpoint refused so far."""

    def __init__(self) -> None:
        self._refused: dict[str, set[str]] = {}

    def speak(self, body: dict[str, Any], refused_now: frozenset[str] = frozenset()) -> dict[str, Any]:
        """``body`` without what its model refuses, and without ``refused_now``."""
        refused = self._refused.get(body["model"], set()) | refused_now
        spoken = {}
        for name, value in body.items():
            if name == _LIMIT and name in refused:
                name = _NEW_LIMIT
            if name not in refused:
                spoken[name] = value
        return spoken

    def learn(self, error: ModelError, spoken: dict[str, Any]) -> frozenset[str]:
        """The parameters to leave out when ``spoken`` is asked again; empty when the error is about something else."""
        name = _named(error, spoken)
        if name is None:
            return frozenset()
        names = frozenset({name}) if name != "tools" else frozenset({name, "tool_choice", "parallel_tool_calls"})
        if name == _LIMIT and (isinstance(error, TooLong) or _NEW_LIMIT not in error.said):
            names |= {_NEW_LIMIT}  # not another name: no limit at all
        if not isinstance(error, TooLong):
            logger.warning("the model %r takes no %r; it is left out from now on", spoken["model"], name)
            self._refused.setdefault(spoken["model"], set()).update(names)
        return names


def _named(error: ModelError, spoken: dict[str, Any]) -> str | None:
    """The optional parameter of ``spoken`` that ``error`` names first."""
    if isinstance(error, TooLong):
        # vLLM counts the answer's limit into the context: asked without one, it gives the answer what is left.
        candidates = [name for name in (_LIMIT, _NEW_LIMIT) if name in spoken]
    elif isinstance(error, BadRequest):
        candidates = [name for name in spoken if name not in _CORE]
    else:
        candidates = []
    text = f"{error.kind} {error.said}"
    found = [
        (match.start(), name) for name in candidates if (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text))
    ]
    if "tools" in spoken:
        found = [hit for hit in found if hit[1] not in ("tools", "tool_choice")]
        if not isinstance(error, TooLong) and _NO_TOOLS.search(text):
            found = [(0, "tools")]
    return min(found)[1] if found else None

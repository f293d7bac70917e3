"""Logging: one line an event on standard error, as text or JSON.

Message text appears at DEBUG only and secrets at no level: the libraries' own debug loggers print headers, bodies and
frames, so they are held at WARNING whatever the level.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

_TALKATIVE = ("openai", "httpx2", "httpcore2", "websockets", "uvicorn", "asyncio", "urllib3", "hpack")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, form: Literal["text", "json"]) -> None:
    """Configures the root logger. `level` is a name of the standard library."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)

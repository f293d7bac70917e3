"""The golden frames: what the protocol page says frames look like, in files of their own (tests/frames)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "frames"


@dataclass(frozen=True, slots=True)
class Golden:
    """`raw` is the text on the wire where it is not just the frame as JSON."""

    name: str
    direction: str
    frame: dict[str, Any]
    raw: str

    @property
    def wire(self) -> str:
        return self.raw or json.dumps(self.frame, ensure_ascii=False)

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.frame.get("body", {})
        return body


def golden(name: str) -> Golden:
    data = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return Golden(name, data["direction"], data["frame"], data.get("raw", ""))


def all_golden(prefix: str) -> list[Golden]:
    found = [golden(path.stem) for path in sorted(FOLDER.glob(f"{prefix}*.json"))]
    assert found, f"no golden frame is called {prefix}*"
    return found

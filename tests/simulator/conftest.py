import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.simulator import Simulator
from tests.simulator.line import Pure

FRAMES = Path(__file__).parents[1] / "frames"


@pytest.fixture
def pure(tmp_path: Path) -> Iterator[Callable[..., Pure]]:
    """``pure(**options)``: a subscribed bot without a socket."""
    made: list[Pure] = []

    def make(*, subscribed: bool = True, **options: Any) -> Pure:
        far = Pure(tmp_path, **options)
        made.append(far)
        if subscribed:
            assert far.subscribe()["errcode"] == 0
        return far

    yield make
    for far in made:
        far.close()


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator() as simulator:
        yield simulator


def golden(name: str) -> dict[str, Any]:
    """The frame of a golden file."""
    frame: dict[str, Any] = json.loads((FRAMES / f"{name}.json").read_text(encoding="utf-8"))["frame"]
    return frame

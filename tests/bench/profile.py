"""Where a Python client spends its time: cProfile over warm-up, one stream and 100 chats, by time in each function."""

import io
import pstats
import tempfile
from pathlib import Path

from .line import Sizes, command_of, far_side
from .process import Child

SHOWN = 25


def profile(name: str, sizes: Sizes, client_cores: set[int], far_cores: set[int]) -> str:
    """The functions that took most, without what they called. The profiler doubles the cost of small functions."""
    (interpreter, *script), environment = command_of(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "profile"
        command = [interpreter, "-m", "cProfile", "-o", str(path), *script]
        with far_side(far_cores) as far, Child([*command, far.ws, name], client_cores, environment) as client:
            far.arrived()
            far.ask(name, str(sizes.one_stream))
            far.ask(name, str(sizes.chat_frames * sizes.turns), sizes.chats)
            client.close()
        text = io.StringIO()
        pstats.Stats(str(path), stream=text).sort_stats("tottime").print_stats(SHOWN)
    return text.getvalue()

"""What a child can do once the fence is closed: nothing but compute."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_TRIAL = """
import sys, os, socket, ctypes, subprocess
from agent.files import fence
fence.limit(2**30, 5)
{before}
fence.close_off()
for attempt in {attempts!r}:
    try:
        exec(attempt)
    except (OSError, RuntimeError, MemoryError) as error:
        print(attempt, "->", type(error).__name__)
    else:
        print(attempt, "-> done")
"""


def tried(*attempts: str, before: str = "") -> list[str]:
    """What happens to the attempts behind the fence."""
    program = _TRIAL.format(attempts=attempts, before=before)
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.splitlines()


def test_nothing_is_opened_started_or_reached() -> None:
    attempts = (
        "open('/etc/hostname')",
        "open('/tmp/written', 'w')",
        "socket.create_connection(('127.0.0.1', 80), timeout=1)",
        "socket.getaddrinfo('example.com', 80)",
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "os.execv('/bin/true', ['true'])",
        "import turtle",
    )
    assert tried(*attempts) == [f"{each} -> PermissionError" for each in attempts]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_no_descriptor_is_given_even_below_python() -> None:
    attempts = ("open('/etc/hostname')", "socket.socket()", "os.pipe()", "os.dup(1)")
    results = tried(*attempts, before="sys.addaudithook = lambda hook: None")
    assert results == [f"{each} -> OSError" for each in attempts]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of memory is advice")
def test_memory_ends() -> None:
    assert tried("bytearray(2 * 2**30)") == ["bytearray(2 * 2**30) -> MemoryError"]

"""What a child can do once the fence is closed: nothing but compute."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tried(attempt: str, python: bool = True) -> str:
    """What happens to an attempt behind the fence; without `python`, below the audit hook."""
    program = (
        "import sys, os, socket, ctypes, subprocess\n"
        "from agent.files import fence\n"
        "fence.limit(2**30, 5)\n"
        + ("" if python else "sys.addaudithook = lambda hook: None\n")
        + f"fence.close_off()\ntry:\n    {attempt}\nexcept (OSError, RuntimeError) as error:\n"
        "    print('refused', type(error).__name__)\nelse:\n    print('done')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    return run.stdout.strip() or run.stderr


@pytest.mark.parametrize(
    "attempt",
    [
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
    ],
)
def test_nothing_is_opened_started_or_reached(attempt: str) -> None:
    assert tried(attempt) == "refused PermissionError"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize("attempt", ["open('/etc/hostname')", "socket.socket()", "os.pipe()", "os.dup(1)"])
def test_no_descriptor_is_given_even_below_python(attempt: str) -> None:
    assert tried(attempt, python=False).startswith("refused")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of memory is advice")
def test_memory_ends() -> None:
    assert "MemoryError" in tried("bytearray(2 * 2**30)")

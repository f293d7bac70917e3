"""What the child process may still do once it looks at a stranger's file: compute, and write to the pipe it has.

The main thing is one limit: with RLIMIT_NOFILE at zero no code, not even a corrupted C library, gets a new file
descriptor, so there is no opening of files and no socket. The audit hook says no earlier and by name. Where a network
namespace of its own is permitted (Linux), the child has no network at all. Windows has the audit hook alone.
"""

import contextlib
import os
import sys
from typing import Any

if sys.platform != "win32":
    import resource

# CLONE_NEWUSER | CLONE_NEWNET of linux/sched.h: a user namespace gives the right to an empty network namespace.
_NEW_NETWORK = 0x10000000 | 0x40000000
_PR_SET_NO_NEW_PRIVS = 38

_REFUSED = ("open", "socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.kill", "pty.")


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Bounds memory (allocations fail beyond it) and processor time (SIGXCPU ends the process), for good. Answers come
    before files: the child yields the processor, and is the first to go when the machine runs out of memory."""
    if sys.platform == "win32":
        return
    _set(resource.RLIMIT_CORE, 0, 0)
    _set(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)  # at the second figure comes SIGKILL
    _set(resource.RLIMIT_AS, memory_bytes, memory_bytes)
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def close_off() -> None:
    """Nothing may be opened, started or reached from here on."""
    if sys.platform == "linux":
        _leave_network()
    sys.addaudithook(_audit)
    if sys.platform == "win32":
        return
    _set(resource.RLIMIT_FSIZE, 0, 0)
    _set(resource.RLIMIT_NPROC, 0, 0)
    _set(resource.RLIMIT_NOFILE, 0, 0)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} is refused while a file is read")


def _leave_network() -> None:
    """Best effort: containers often forbid it."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    library.unshare(_NEW_NETWORK)


def _set(what: int, soft: int, hard: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ValueError, OSError):  # macOS knows some of these by name only
            resource.setrlimit(what, (soft, hard))

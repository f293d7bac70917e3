"""A child process of the bench: started on a core of its own, told what to do in JSON lines, measured from outside.

Knows Linux only: memory is read from /proc, CPU from the kernel's clock of that process.
"""

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CLOSING = 3.0
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SETTINGS = ("WECOM_", "OPENAI_", "AGENT_", "PYTHON")


class Failed(Exception):
    """A child died, or kept silent for too long."""


class Refused(Failed):
    """A child answered with an error, and goes on."""


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without proxies and without anything that configures a bot, and with `settings`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in PROXIES and not name.startswith(SETTINGS)
    }
    return {**kept, **settings}


class Child:
    """A running command; use it as a context manager.

    Args:
        command: program and arguments.
        cores: where it may run; empty for anywhere.
        environment: the whole environment; a clean one by default.
        folder: its working directory.
        talks: whether it speaks JSON lines; what others print is kept beside their errors.
    """

    def __init__(
        self,
        command: Sequence[str],
        cores: set[int],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        talks: bool = True,
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the child)
        self._answers = b""
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if talks else self._errors,
            stderr=self._errors,
            env=dict(environment) if environment is not None else clean_environment(),
            cwd=folder,
            bufsize=0,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def tell(self, **order: Any) -> None:
        """Gives an order without waiting for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            raise Failed(self.last_words()) from None

    def hear(self, seconds: float = 60.0) -> dict[str, Any]:
        """The next answer. Raises `Failed` when none comes in time, `Refused` when it is an error."""
        assert self._process.stdout is not None
        until = time.perf_counter() + seconds
        while b"\n" not in self._answers:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.perf_counter()))
            if not ready:
                raise Failed(f"no answer within {seconds:g} s; {self.last_words()}")
            piece = os.read(self._process.stdout.fileno(), 65536)
            if not piece:
                raise Failed(self.last_words())
            self._answers += piece
        line, self._answers = self._answers.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def ask(self, seconds: float = 60.0, **order: Any) -> dict[str, Any]:
        self.tell(**order)
        return self.hear(seconds)

    def last_words(self) -> str:
        """The end of what it wrote to stderr, and its exit code if it has one."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        code = self._process.poll()
        end = "it runs" if code is None else f"it ended with {code}"
        return f"{end} and said {lines[-1][:200]!r}" if lines else f"{end} and said nothing"

    def cpu(self) -> float:
        """Seconds of user and system time so far, all its threads together, those that ended included."""
        return time.clock_gettime((~self.pid << 3) | 2)  # CPUCLOCK_SCHED of a process: /proc/PID/stat counts in 10 ms

    def memory(self) -> tuple[float, float]:
        """(resident now, resident at its highest), MB."""
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        now, highest = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
        return now, highest

    def wait(self, seconds: float) -> int:
        """Its exit code. Raises `Failed` when it goes on for longer."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running after {seconds:g} s") from None

    def close(self) -> None:
        """Ends it: the end of its stdin asks it to, then signals do. May be called again."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        for end in (lambda: None, self._process.terminate, self._process.kill):
            end()
            with contextlib.suppress(Failed):
                self.wait(CLOSING)
                break
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def stop(self) -> None:
        """Asks it to end by SIGTERM, as a service manager does."""
        self._process.terminate()

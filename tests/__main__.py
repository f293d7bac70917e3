"""``python -m tests``: everything that must pass, in one command: format, lint, types, tests.

Words after it go to pytest: ``python -m tests tests/wecom -k stream``. Optional system packages (node with npm,
Chromium) are named in the README; tests that need them skip with a reason where they are missing.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main(words: list[str]) -> int:
    steps = [
        ("format", ["-m", "ruff", "format", "--check", "--quiet", "."]),
        ("lint", ["-m", "ruff", "check", "--quiet", "."]),
        ("types", ["-m", "mypy"]),
        ("tests", ["-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-r", "s", *words]),
    ]
    for name, step in steps:
        print(f"== {name}", flush=True)
        code = subprocess.run([sys.executable, *step], cwd=ROOT, check=False).returncode
        if code:
            print(f"== {name} failed (exit {code})", flush=True)
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

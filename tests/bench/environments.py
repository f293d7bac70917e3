"""Throw-away environments of foreign clients: a venv for each PyPI package, an npm folder for each npm package.

Kept under WECOM_AGENT_TEST_CACHE, by default in the user's cache folder; delete the folder to begin afresh.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

INSTALL_TIMEOUT = 600


class Unavailable(Exception):
    """This environment cannot be had here; the message is the reason."""


def cache() -> Path:
    folder = os.environ.get("WECOM_AGENT_TEST_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wecom-agent-tests"


def python_environment(requirement: str) -> Path:
    """The interpreter of a venv that holds `requirement` (`name==version`) and what a plain pip brings with it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    def install(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, requirement])

    return _once(f"{requirement}-python{version}", install) / "bin" / "python"


def node_environment(requirement: str) -> tuple[str, Path]:
    """(node, folder of modules) with `requirement` (`@scope/name@version`) installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("node and npm are not installed")

    def install(folder: Path) -> None:
        _run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error", requirement])

    return node, _once(requirement.strip("@").replace("/", "-"), install) / "node_modules"


def _once(name: str, install: Callable[[Path], None]) -> Path:
    """The folder that `install` filled, now or in an earlier run; one left half filled is filled anew."""
    folder = cache() / "bench" / name
    complete = folder / "complete"
    if not complete.exists():
        print(f"installing {name} ...", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder)
        complete.touch()
    return folder


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unavailable(lines[-1][:200] if lines else f"{command[0]} failed with {done.returncode}")

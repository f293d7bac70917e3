"""Installs clients that we did not write, once, into a cache folder outside the repository."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

NODE_SDK = "@wecom/aibot-node-sdk@1.0.7"
FRAMEWORK = ("wecom-ai-bot-ws-svr==0.1.0", "wecom-aibot-sdk-python==0.1.7")
INSTALL_SECONDS = 240


def cache() -> Path:
    """``WECOM_AGENT_TEST_CACHE``, else a folder in the user's cache directory."""
    if named := os.environ.get("WECOM_AGENT_TEST_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wecom-agent-tests"


def installed(name: str, steps: Sequence[Sequence[str]]) -> Path:
    """The folder ``name`` of the cache, filled by ``steps`` on first use. Skips the test when that fails.

    ``{}`` in a step stands for the folder. A lock lets parallel test processes wait for the one that installs.
    """
    root = cache()
    root.mkdir(parents=True, exist_ok=True)
    folder, done = root / name, root / f"{name}.complete"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and folder.exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for step in steps:
            command = [word.replace("{}", str(folder)) for word in step]
            try:
                ended = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"cannot install {name}: {error}")
            if ended.returncode:
                last = (ended.stderr.strip() or ended.stdout.strip() or "no output").splitlines()[-1]
                pytest.skip(f"cannot install {name}: {' '.join(command[:4])} ended with {ended.returncode}: {last}")
        done.touch()
    return folder


@pytest.fixture(scope="session")
def node_sdk() -> Path:
    """The folder whose node_modules hold the official Node SDK."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the official Node SDK cannot run")
    npm = ["npm", "install", "--prefix", "{}", "--no-audit", "--no-fund", "--ignore-scripts", NODE_SDK]
    return installed("node-sdk-1.0.7", [npm])


@pytest.fixture(scope="session")
def framework() -> Path:
    """The interpreter of a throw-away environment that holds the PyPI framework and its SDK."""
    name = f"framework-0.1.0-py{sys.version_info.major}{sys.version_info.minor}"
    python = "{}/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *FRAMEWORK]
    return installed(name, [[sys.executable, "-m", "venv", "{}"], pip]) / "bin" / "python"


@pytest.fixture(scope="session")
def framework_source() -> Path:
    """The unpacked source distribution of the PyPI framework."""
    python, (name, version) = sys.executable, FRAMEWORK[0].split("==")
    pip = [
        python,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-binary",
        ":all:",
    ]
    unpack = [python, "-m", "tarfile", "-e", f"{{}}/{name.replace('-', '_')}-{version}.tar.gz", "{}"]
    folder = installed(f"framework-source-{version}", [[*pip, "--dest", "{}", FRAMEWORK[0]], unpack])
    return folder / f"{name.replace('-', '_')}-{version}"

"""A model server that we did not write: `@copilotkit/aimock` from npm.

Installed once, into the folder named by WECOM_AGENT_TEST_CACHE (by default one in the user's cache folder).
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "@copilotkit/aimock@1.43.0"
NODE = (20, 15)  # "engines" in its package.json


def fixture(question: str, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    match = {"userMessage": question, **more.pop("match", {})}
    return {"match": match, "response": answer, **more}


def install() -> Path:
    """The folder of the package; skips where there is no node, or no way to get the package."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(int(number) for number in re.findall(r"\d+", version)) < NODE:
        pytest.skip(f"aimock needs Node.js {'.'.join(map(str, NODE))} or newer, and this is {version}")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wecom-agent-tests"
    cache = Path(os.environ.get("WECOM_AGENT_TEST_CACHE") or default)
    folder = cache / "aimock-1.43.0"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as made:
            command = [npm, "install", "--no-audit", "--no-fund", "--prefix", made, PACKAGE]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-300:]}")
            with contextlib.suppress(OSError):  # another run was faster
                Path(made).rename(folder)
            Path(made).mkdir(exist_ok=True)
    return folder / "node_modules" / "@copilotkit" / "aimock"


@contextlib.asynccontextmanager
async def server(answers: list[dict[str, Any]], folder: Path) -> AsyncIterator[str]:
    """The base URL of a server that gives these answers (`fixture`); its files lie in `folder`."""
    package = await asyncio.to_thread(install)
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": answers}), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(package / "dist" / "cli.js"),
        *("-p", "0", "-f", str(fixtures), "-c", "2", "--log-level", "info"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = ""
            while not (address := re.search(r"listening on (http://\S+)", said)):
                line = await process.stdout.readline()
                assert line, f"aimock ended: {said}"
                said += line.decode()
        yield address[1] + "/v1"
    finally:
        process.kill()
        await process.communicate()

"""The files under deploy/: what can be known of them without systemd or a container engine running."""

import asyncio
import configparser
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config import SETTINGS
from agent.health import Line, listening

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
NAMES = {setting.name for setting in SETTINGS}
FILES = sorted(path for path in (*DEPLOY.iterdir(), ROOT / ".dockerignore") if path.is_file())


def test_the_files_are_there() -> None:
    assert {path.name for path in FILES} == {
        ".dockerignore", "Dockerfile", "compose.yaml", "entrypoint.sh", "healthcheck.py", "wecom-agent.service",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists_and_no_registry_is(path: Path) -> None:
    text = path.read_text()
    named = set(re.findall(r"\b(?:WECOM|OPENAI|AGENT)_[A-Z_]+\b", text))
    assert named <= NAMES
    assert not re.findall(r"\b[\w-]+(?:\.[\w-]+)*\.(?:io|com|org|cn|net)\b", text)


# --- systemd


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment]
    # A key may stand several times; one of them is enough for the questions here, and `lines` has them all.
    parser.read(DEPLOY / "wecom-agent.service")
    return parser


def lines(key: str) -> list[str]:
    text = (DEPLOY / "wecom-agent.service").read_text()
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_the_unit_restarts_on_anything_but_2_and_3(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"].split() == ["2", "3"]
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_unit_keeps_data_and_prompts_where_it_may(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    environment = dict(line.split("=", 1) for line in lines("Environment"))
    assert environment["AGENT_DATA_DIR"] == f"/var/lib/{service['StateDirectory']}"
    assert service["StateDirectoryMode"] == "0700"
    assert service["ProtectSystem"] == "strict"  # all but the state directory is read-only
    assert environment["AGENT_PROMPTS_DIR"].startswith(service["WorkingDirectory"])
    # `.env` is read by systemd and by the commands that an operator runs in this folder.
    assert service["EnvironmentFile"] == f"{service['WorkingDirectory']}/.env"
    assert service["ExecStart"].endswith("/wecom-agent run")
    assert service["User"] not in ("", "root")


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    # It asks whether the program exists, which it does not here.
    text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", (DEPLOY / "wecom-agent.service").read_text())
    (tmp_path / "wecom-agent.service").write_text(text)
    found = subprocess.run(
        [analyze, "verify", str(tmp_path / "wecom-agent.service")], capture_output=True, text=True, check=False
    )
    if "Failed to" in found.stderr and "wecom-agent.service" not in found.stderr:
        pytest.skip(f"systemd-analyze does not work here: {found.stderr.strip()}")
    assert (found.returncode, found.stderr) == (0, "")


# --- Docker


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def test_the_base_is_an_argument() -> None:
    assert arguments("ARG")[0].startswith("BASE=")
    assert {rest.split(" AS ")[0] for rest in arguments("FROM")} == {"${BASE}"}


def test_dependencies_come_with_hashes_and_the_package_without_any() -> None:
    installs = [rest for rest in arguments("RUN") if "pip install" in rest]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "-r requirements.lock" in installs[0]
    assert installs[1].endswith("pip install --no-deps .")


def test_the_image_runs_as_somebody_else_with_data_and_health() -> None:
    names = [instruction for instruction, _ in instructions()]
    assert arguments("USER") == ["wecom-agent"]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "useradd --system" in " ".join(arguments("RUN"))
    assert arguments("ENTRYPOINT") == ['["wecom-agent"]']
    assert arguments("CMD") == ['["run"]']
    assert "healthcheck.py" in arguments("HEALTHCHECK")[0]
    environment = dict(re.findall(r"(\w+)=(\S+)", " ".join(arguments("ENV"))))
    assert arguments("VOLUME") == [f'["{environment["AGENT_DATA_DIR"]}"]']


def test_everything_that_is_copied_exists_and_gets_past_dockerignore() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"  # nothing, except:
    allowed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    copied = []
    for rest in arguments("COPY"):
        words = [word for word in rest.split() if not word.startswith("--")]
        if "--from=" not in rest:
            copied += words[:-1]
    assert "agent" in copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, rule) for rule in allowed), name
    for secret in (".env", "data", ".git", "tests"):
        assert not any(fnmatch.fnmatch(secret, rule) for rule in allowed)


@pytest.fixture(scope="module")
def bot() -> dict[str, Any]:
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(composed["volumes"]) == {"data"}
    service: dict[str, Any] = composed["services"]["bot"]
    return service


def test_compose_builds_and_mounts_what_exists(bot: dict[str, Any]) -> None:
    assert (DEPLOY / bot["build"]["context"]).resolve() == ROOT
    assert (DEPLOY / bot["build"]["context"] / bot["build"]["dockerfile"]).is_file()
    assert (DEPLOY / bot["env_file"]).resolve() == ROOT / ".env"
    mounted = dict(volume.split(":")[:2] for volume in bot["volumes"])
    assert mounted == {
        "data": bot["environment"]["AGENT_DATA_DIR"],
        "../prompts": bot["environment"]["AGENT_PROMPTS_DIR"],
    }
    assert (DEPLOY / "../prompts/default.md").is_file()


def test_compose_restarts_through_the_entry_point(bot: dict[str, Any]) -> None:
    assert bot["restart"] == "unless-stopped"
    (entrypoint,) = bot["entrypoint"]
    copied = next(rest.split() for rest in arguments("COPY") if "entrypoint.sh" in rest)
    assert entrypoint == f"{copied[-1]}entrypoint.sh"
    assert "--chmod=0755" in copied


# --- the entry point


async def enter(tmp_path: Path, script: str, *words: str) -> asyncio.subprocess.Process:
    """The entry point with `script` as wecom-agent; its output goes to a pipe."""
    fake = tmp_path / "wecom-agent"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    return await asyncio.create_subprocess_exec(
        "/bin/sh",
        str(DEPLOY / "entrypoint.sh"),
        *words,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def finish(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(10):
        output, _ = await process.communicate()
    return process.returncode, output.decode()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(10):
        return (await process.stdout.readline()).decode().strip()


@pytest.mark.parametrize("code", [0, 1, 7])
async def test_other_codes_are_passed_on(tmp_path: Path, code: int) -> None:
    assert await finish(await enter(tmp_path, f"exit {code}", "run")) == (code, "")


@pytest.mark.parametrize("code", [2, 3])
async def test_after_2_and_3_it_stays_until_it_is_stopped(tmp_path: Path, code: int) -> None:
    process = await enter(tmp_path, f"echo reason; exit {code}", "run")
    assert await line_of(process) == "reason"
    assert f"exit code {code} and is not started again" in await line_of(process)
    assert process.returncode is None
    process.send_signal(signal.SIGTERM)
    assert (await finish(process))[0] == code


async def test_a_signal_reaches_the_bot_which_takes_its_time(tmp_path: Path) -> None:
    script = 'trap "echo ending; sleep 0.2; echo ended; exit 0" TERM; echo started; while :; do sleep 0.05; done'
    process = await enter(tmp_path, script, "run")
    assert await line_of(process) == "started"
    process.send_signal(signal.SIGTERM)
    code, output = await finish(process)
    assert (code, output.split()) == (0, ["ending", "ended"])


async def test_other_commands_keep_their_codes(tmp_path: Path) -> None:
    assert await finish(await enter(tmp_path, 'echo "$@"; exit 2', "check", "--offline")) == (2, "check --offline\n")


# --- the health check


async def healthcheck(port: int) -> int | None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(DEPLOY / "healthcheck.py"),
        env={"AGENT_HTTP": f"0.0.0.0:{port}", "http_proxy": "http://127.0.0.1:9"},
    )
    async with asyncio.timeout(20):
        return await process.wait()


async def test_the_health_check_follows_the_bot(tmp_path: Path) -> None:
    down = Line("down", "", "", 0)
    async with listening(("127.0.0.1", 0), tmp_path / "agent.db", lambda: down) as port:
        assert await healthcheck(port) == 0
    assert await healthcheck(port) == 1

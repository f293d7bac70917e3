"""`check`: each row against the thing that it is about; the far side is the simulator."""

import asyncio
import dataclasses
import importlib.util
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import check
from agent.check import far, near
from agent.check.rows import Row
from agent.config import Settings
from agent.simulator import Script, Simulator
from agent.simulator.model import Reply, Request, failing
from agent.store import lock, status
from agent.store.database import open_for_bot
from agent.tools import fonts

COMPLETE = {
    "WECOM_BOT_ID": "bot",
    "WECOM_BOT_SECRET": "secret",
    "OPENAI_MODEL": "deepseek-chat",
    "OPENAI_API_KEY": "sk-key",
}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    script = Script(models=("main", "other", "eyes", "blind too"))
    async with Simulator(bot_id="bot", secret="secret", script=script) as opened:
        yield opened


def settings_for(simulator: Simulator, tmp_path: Path, **more: object) -> Settings:
    values: dict[str, object] = {
        "bot_id": "bot",
        "bot_secret": "secret",
        "ws_url": simulator.ws_url,
        "openai_base_url": simulator.model_url,
        "openai_model": "main",
        "data_dir": tmp_path / "data",
    }
    return Settings(**(values | more))  # type: ignore[arg-type]


async def rows_of(
    part: Callable[[Settings, Callable[[Row], None]], object], settings: Settings
) -> list[tuple[str, str, str, str]]:
    found: list[Row] = []
    await part(settings, found.append)  # type: ignore[misc]
    return [(row.what, row.mark, row.finding, row.remedy) for row in found]


# --- settings


def test_complete_settings_are_one_row(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("AGENT_LANGUAGE=en\n")
    settings, rows = near.settings_rows(COMPLETE, env_file)
    assert settings is not None
    assert settings.language == "en"
    assert [(row.what, row.mark) for row in rows] == [("settings", "ok")]
    assert rows[0].finding == f"complete, 5 from {env_file} and environment, the others by default"


def test_each_problem_is_a_row_with_its_remedy_and_the_rest_stays_usable(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("OPENAI_MODEL=qwen-max\nAGENT_REPLY_TOKENS=many\nthis is no line\nWECOM_BOT_NAME=小助手\n")
    settings, rows = near.settings_rows({"WECOM_BOT_ID": "bot", "WECOM_HEARTBEAT_INTERVAL": "0"}, env_file)
    assert {row.mark for row in rows} == {"fail"}
    found = {row.finding.split(":")[0]: row.remedy for row in rows}
    assert set(found) == {
        "WECOM_HEARTBEAT_INTERVAL",
        "AGENT_REPLY_TOKENS",
        "WECOM_BOT_SECRET",
        "OPENAI_API_KEY",
        f"{env_file} line 3",
    }
    assert all(found.values())
    assert settings is not None
    assert (settings.bot_id, settings.openai_model, settings.bot_name) == ("bot", "qwen-max", "小助手")
    assert (settings.reply_tokens, settings.heartbeat_interval) == (4096, 30000)


def test_an_unreadable_file_leaves_the_environment(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.mkdir()
    settings, rows = near.settings_rows(COMPLETE, env_file)
    assert settings is not None
    assert settings.bot_id == "bot"
    assert [(row.mark, row.remedy) for row in rows] == [("fail", "give this user read access, or remove it")]


def test_the_environments_proxy_beats_the_files_when_a_problem_is_left_out(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("https_proxy=http://from-file:1\nAGENT_REPLY_TOKENS=many\n")
    settings, _ = near.settings_rows(COMPLETE | {"HTTPS_PROXY": "http://from-environment:2"}, env_file)
    assert settings is not None
    assert settings.https_proxy == "http://from-environment:2"


def test_warnings_are_rows(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("AGENT_LANGAUGE=en\n")
    _, rows = near.settings_rows(COMPLETE, env_file)
    assert [row.mark for row in rows] == ["ok", "warn"]
    assert rows[1].remedy == "is AGENT_LANGUAGE meant?"


# --- prompts, data, fonts


def test_prompts_tell_their_files_or_their_faults(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    (row,) = near.prompt_rows(Settings(prompts_dir=folder))
    assert (row.mark, "come with the program" in row.finding) == ("ok", True)
    folder.mkdir()
    (folder / "group.md").write_text("You are {{bot_name}}.")
    (row,) = near.prompt_rows(Settings(prompts_dir=folder))
    assert (row.mark, row.finding) == ("ok", f"group.md in {folder}")
    (folder / "group.md").write_text("Line\n{{who}}")
    (folder / "single.md").write_text("")
    rows = list(near.prompt_rows(Settings(prompts_dir=folder, prompt_group="sales")))
    assert [row.mark for row in rows] == ["fail"] * 3
    assert any("group.md line 2: unknown variable" in row.finding for row in rows)
    assert any("no 'sales.md'" in row.finding for row in rows)
    assert all(row.remedy for row in rows)


def marks(settings: Settings) -> dict[str, str]:
    return {row.what: row.mark for row in near.data_rows(settings)}


def test_a_folder_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "deep" / "data")
    assert marks(settings) == {"data": "ok", "database": "ok", "disk": "ok"}
    assert not settings.data_dir.exists()


def test_a_folder_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(data_dir=tmp_path / "file" / "data")
    rows = {row.what: row for row in near.data_rows(settings)}
    assert (rows["data"].mark, rows["data"].remedy) == ("fail", "give this user the folder, or set AGENT_DATA_DIR")


def test_a_folder_open_to_others_is_to_be_looked_at(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    open_for_bot(settings.data_dir / "agent.db").close()
    assert marks(settings) == {"data": "ok", "database": "ok", "disk": "ok"}
    settings.data_dir.chmod(0o755)
    row = next(near.data_rows(settings))
    assert (row.mark, "mode 0755" in row.finding) == ("warn", True)
    assert settings.data_dir.stat().st_mode & 0o777 == 0o755


def test_a_damaged_database_fails_and_an_older_one_is_to_be_looked_at(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    path = settings.data_dir / "agent.db"
    open_for_bot(path).close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = (SELECT max(name) FROM _sqlite_migrations)")
    db.close()
    assert marks(settings)["database"] == "warn"
    path.write_bytes(b"no database" * 500)
    rows = {row.what: row for row in near.data_rows(settings)}
    assert (rows["database"].mark, "restore a backup" in rows["database"].remedy) == ("fail", True)


@pytest.mark.parametrize(("free", "mark"), [(10, "fail"), (500 * 1024**2, "warn"), (2 * 1024**3, "ok")])
def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, mark: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, free))  # type: ignore[attr-defined]
    assert marks(Settings(data_dir=tmp_path))["disk"] == mark


def test_packaged_fonts_and_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(near.font_rows(Settings()))
    assert [(row.what, row.mark) for row in rows] == [("fonts", "ok"), ("extras", "ok"), ("extras", "ok")]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    damaged = dataclasses.replace(fonts.CHINESE, sha256="0" * 64)
    monkeypatch.setattr(fonts, "CHINESE", damaged)
    font, charts, video = near.font_rows(Settings())
    assert (font.mark, "SHA-256" in font.finding) == ("fail", True)
    assert (charts.mark, charts.remedy) == ("-", 'pip install "wecom-agent[charts]"')
    assert (video.mark, video.remedy) == ("-", 'pip install "wecom-agent[video,voice]"')


# --- proxy


def proxies(settings: Settings) -> list[tuple[str, str]]:
    return [(row.mark, row.finding) for row in far.proxy_rows(settings)]


def test_each_host_tells_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(openai_base_url="https://api.deepseek.com/v1")
    assert proxies(settings) == [
        ("ok", "WeCom: openws.work.weixin.qq.com directly"),
        ("ok", "model: api.deepseek.com directly"),
    ]
    monkeypatch.setenv("https_proxy", "http://user:password@proxy:3128")
    monkeypatch.setenv("no_proxy", "deepseek.com")
    assert proxies(settings) == [
        ("ok", "WeCom: openws.work.weixin.qq.com through http://***@proxy:3128"),
        ("ok", "model: api.deepseek.com directly"),
    ]


def test_this_machine_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy:3128")
    settings = Settings(ws_url="ws://127.0.0.1:1", openai_base_url="http://localhost:11434/v1")
    assert [finding for _, finding in proxies(settings)] == ["WeCom: 127.0.0.1 directly", "model: localhost directly"]


@pytest.mark.parametrize("proxy", ["gopher://proxy:1", "socks5://proxy:1"])
def test_a_proxy_that_cannot_be_used_fails_with_the_remedy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    rows = list(far.proxy_rows(Settings()))
    assert [row.mark for row in rows] == ["fail", "fail"]
    assert all("HTTPS_PROXY" in row.remedy for row in rows)


# --- models


def sees(request: Request) -> Reply:
    return Reply("It is red.") if request.images else Reply("OK")


async def test_every_model_is_asked_once(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script.default = sees
    settings = settings_for(
        simulator, tmp_path, openai_models=("main", "other"), openai_fallback_models=("gone", "other")
    )
    rows = await rows_of(far.ask_models, settings)
    assert [(what, mark, finding.split(" answers")[0]) for what, mark, finding, _ in rows[:1]] == [
        ("model", "ok", "main")
    ]
    found = {finding.split(" ")[0].rstrip(":"): (mark, remedy) for _, mark, finding, remedy in rows[1:-1]}
    assert found["other"] == ("ok", "")
    assert found["gone"][0] == "warn"
    assert "OPENAI_MODEL" in found["gone"][1]
    assert rows[-1] == ("vision", "ok", "main sees pictures", "")
    assert [request.model for request in simulator.script.requests] == ["main", "main", "gone", "other"]


@pytest.mark.parametrize(("status_", "remedy"), [(401, "OPENAI_API_KEY"), (402, "top it up"), (404, "OPENAI_BASE_URL")])
async def test_a_main_model_that_does_not_answer_fails_in_the_endpoints_words(
    simulator: Simulator, tmp_path: Path, status_: int, remedy: str
) -> None:
    simulator.script.default = lambda request: failing(status_, "what the endpoint says")
    rows = await rows_of(far.ask_models, settings_for(simulator, tmp_path))
    what, mark, finding, do = rows[0]
    assert (what, mark) == ("model", "fail")
    assert "what the endpoint says" in finding
    assert remedy in do


async def test_who_looks_at_pictures(simulator: Simulator, tmp_path: Path) -> None:
    simulator.script.default = sees
    simulator.script.text_only = frozenset({"main", "blind too"})
    (_, vision) = await rows_of(far.ask_models, settings_for(simulator, tmp_path))
    assert (vision[1], "OPENAI_VISION_MODEL" in vision[3]) == ("warn", True)
    (_, vision) = await rows_of(far.ask_models, settings_for(simulator, tmp_path, openai_vision_model="eyes"))
    assert vision == ("vision", "ok", "eyes sees pictures for main", "")
    (_, vision) = await rows_of(far.ask_models, settings_for(simulator, tmp_path, openai_vision_model="blind too"))
    assert vision[1:3] == ("warn", "blind too (OPENAI_VISION_MODEL) does not see pictures")


async def test_an_endpoint_that_is_not_there_fails(simulator: Simulator, tmp_path: Path) -> None:
    settings = settings_for(simulator, tmp_path, openai_base_url="http://127.0.0.1:9/v1")
    rows = await rows_of(far.ask_models, settings)
    assert rows[0][:2] == ("model", "fail")
    assert "HTTPS_PROXY" in rows[0][3]


async def test_no_model_is_no_question(simulator: Simulator, tmp_path: Path) -> None:
    ((_, mark, _, _),) = await rows_of(far.ask_models, settings_for(simulator, tmp_path, openai_model=""))
    assert mark == "-"
    assert not simulator.script.requests


# --- the line


async def test_a_short_subscription(simulator: Simulator, tmp_path: Path) -> None:
    ((what, mark, finding, _),) = await rows_of(far.ask_wecom, settings_for(simulator, tmp_path))
    assert (what, mark) == ("wecom", "ok")
    assert finding.startswith("bot subscribed at 127.0.0.1 after ")
    assert not simulator.gateway.check()
    assert [entry.cmd for entry in simulator.gateway.trace if entry.direction == "out"] == ["aibot_subscribe"]


async def test_refused_credentials_name_the_code_and_the_remedy(simulator: Simulator, tmp_path: Path) -> None:
    ((_, mark, finding, remedy),) = await rows_of(
        far.ask_wecom, settings_for(simulator, tmp_path, bot_secret="another")
    )
    assert (mark, "853000" in finding) == ("fail", True)
    assert "compare Bot ID and Secret" in remedy
    assert "another" not in finding + remedy


@pytest.mark.parametrize("url", ["ws://127.0.0.1:9", "ws://127.0.0.1:9/path"])
async def test_a_gateway_that_is_not_there_fails_at_once(simulator: Simulator, tmp_path: Path, url: str) -> None:
    ((_, mark, finding, remedy),) = await rows_of(far.ask_wecom, settings_for(simulator, tmp_path, ws_url=url))
    assert (mark, url in finding) == ("fail", True)
    assert "WECOM_BOT_WS_URL" in remedy


async def test_a_server_that_is_no_gateway_is_told(simulator: Simulator, tmp_path: Path) -> None:
    url = simulator.http_url.replace("http://", "ws://")
    ((_, mark, finding, _),) = await rows_of(far.ask_wecom, settings_for(simulator, tmp_path, ws_url=url))
    assert (mark, "does not answer as a WebSocket server" in finding) == ("fail", True)


async def test_a_gateway_that_never_answers_is_given_up(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far, "SUBSCRIBE_TIMEOUT", 0.2)
    simulator.gateway.faults.lose_acks(command="aibot_subscribe")
    ((_, mark, finding, _),) = await rows_of(far.ask_wecom, settings_for(simulator, tmp_path))
    assert (mark, "has not answered within 0.2 s" in finding) == ("fail", True)


async def test_a_ca_file_without_certificates_fails(simulator: Simulator, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("nothing")
    ((_, mark, finding, remedy),) = await rows_of(far.ask_wecom, settings_for(simulator, tmp_path, ca_file=ca_file))
    assert (mark, "WECOM_CA_FILE" in finding, "PEM" in remedy) == ("fail", True, True)
    assert not simulator.gateway.trace


# --- beside a running bot

NOW = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)


def say(settings: Settings, at: datetime, **values: object) -> None:
    said = {"state": "subscribed", "reason": "", "bot_id": "bot", "connections": 2} | values
    db = open_for_bot(settings.data_dir / "agent.db")
    status.put(db, said | {"subscribed_at": NOW.isoformat()}, at)
    db.close()


@pytest.mark.parametrize(
    ("age", "values", "mark", "finding"),
    [
        (1, {}, "ok", "is subscribed since 2026-11-23 09:30:00 (connection 2)"),
        (1, {"state": "down", "reason": "the socket closed"}, "fail", "is not subscribed: down: the socket closed"),
        (60, {}, "fail", "has been silent for 60 s"),
        (1, {"bot_id": "old"}, "warn", "uses the Bot ID 'old', the settings say 'bot'"),
        (3600 * 3, {}, "warn", "is starting"),
    ],
)
def test_the_live_bots_own_word(tmp_path: Path, age: float, values: dict[str, object], mark: str, finding: str) -> None:
    settings = Settings(bot_id="bot", data_dir=tmp_path / "data")
    say(settings, NOW - timedelta(seconds=age), **values)
    row = far.live_row(settings, lock.Holder(4711, NOW - timedelta(hours=2)), NOW)
    assert (row.mark, row.finding) == (mark, f"the running bot (process 4711) {finding}")


def test_a_bot_that_has_made_no_database_yet_is_starting(tmp_path: Path) -> None:
    row = far.live_row(Settings(data_dir=tmp_path), lock.Holder(None, None), NOW)
    assert row.mark == "warn"


async def test_beside_a_running_bot_nobody_subscribes(simulator: Simulator, tmp_path: Path) -> None:
    settings = settings_for(simulator, tmp_path)
    with lock.hold(settings.data_dir):
        say(settings, datetime.now(UTC) + timedelta(seconds=1))
        ((_, mark, finding, _),) = await rows_of(far.ask_wecom, settings)
    assert (mark, "the running bot" in finding) == ("ok", True)
    assert not simulator.gateway.trace


# --- the whole


async def report(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool = False, **environ: str
) -> bool:
    values = {
        "WECOM_BOT_ID": "bot",
        "WECOM_BOT_SECRET": "secret",
        "WECOM_BOT_WS_URL": simulator.ws_url,
        "OPENAI_BASE_URL": simulator.model_url,
        "OPENAI_MODEL": "main",
        "AGENT_DATA_DIR": str(tmp_path / "data"),
        "AGENT_PROMPTS_DIR": str(tmp_path / "prompts"),
    }
    for name, value in (values | environ).items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(check.report, None, offline=offline)


def parse(printed: str) -> list[list[str]]:
    """The words of each row that a pipe gets, by its first two columns."""
    lines = printed.partition("WHAT ")[2].splitlines()[1:]
    return [line.split(maxsplit=2) for line in lines if line][:-1]


async def test_everything_works(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.script.default = sees
    assert await report(simulator, tmp_path, monkeypatch, COLUMNS="400")  # temporary folders have long names
    printed = capsys.readouterr().out
    assert [row[:2] for row in parse(printed)] == [
        [what, "ok"]
        for what in (
            "settings", "prompts", "data", "database", "disk", "fonts", "extras", "extras", "proxy", "proxy", "model",
            "vision", "wecom",
        )
    ]  # fmt: skip
    assert printed.splitlines()[-1] == "everything works"
    assert printed.index("WeCom\ndisconnects that one") < printed.index("WHAT ")
    assert not simulator.gateway.check()


async def test_offline_contacts_nobody(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await report(simulator, tmp_path, monkeypatch, offline=True)
    printed = capsys.readouterr().out
    assert [row[:2] for row in parse(printed)][-2:] == [["model", "-"], ["wecom", "-"]]
    assert "disconnects" not in printed
    assert not simulator.gateway.trace
    assert not simulator.script.requests


async def test_one_broken_part_hides_no_other(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(font: fonts.Font) -> bytes:
        raise RuntimeError("no fonts today")

    monkeypatch.setattr(fonts.Font, "load", broken)
    simulator.script.default = lambda request: failing(401)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "group.md").write_text("{{nobody}}")
    assert not await report(simulator, tmp_path, monkeypatch, AGENT_REPLY_TOKENS="many", COLUMNS="400")
    printed = capsys.readouterr().out
    found = {row[0]: row[1] for row in parse(printed)}
    assert found["settings"] == found["prompts"] == found["fonts"] == found["model"] == "fail"
    assert (found["data"], found["wecom"]) == ("ok", "ok")
    assert printed.splitlines()[-1].startswith("4 failed")


async def test_a_terminal_gets_columns_that_fit(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert not await report(simulator, tmp_path, monkeypatch, offline=True, WECOM_BOT_SECRET=" ")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["WHAT", "FOUND", "WHAT", "TO", "DO"]


async def test_no_secret_is_printed(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:proxy-password@127.0.0.1:9")
    simulator.script.default = lambda request: failing(401, f"Incorrect API key: {request.headers['authorization']}")
    await report(simulator, tmp_path, monkeypatch, WECOM_BOT_SECRET="a-wrong-secret", OPENAI_API_KEY="a-key-of-mine")
    printed = capsys.readouterr().out
    for secret in ("a-wrong-secret", "a-key-of-mine", "proxy-password"):
        assert secret not in printed
    assert json.dumps(printed)  # nothing that JSON could not hold either

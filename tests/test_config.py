"""Settings: which value wins, what is refused and how it is said, and `.env.example` against the table."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config, envfile
from agent.config import SETTINGS, Settings, SettingsError, load

ROOT = Path(__file__).parent.parent
COMPLETE = {
    "WECOM_BOT_ID": "bot1",
    "WECOM_BOT_SECRET": "very-secret",
    "OPENAI_API_KEY": "sk-key",
    "OPENAI_MODEL": "deepseek-chat",
}


def refused(environ: dict[str, str], env_file: Path | None = None, **options: tuple[str, ...]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file, **options)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


# --- values


def test_defaults_are_the_contract() -> None:
    settings = load(COMPLETE, None)
    assert settings == Settings(
        bot_id="bot1", bot_secret="very-secret", openai_api_key="sk-key", openai_model="deepseek-chat"
    )
    assert settings.ws_url == "wss://openws.work.weixin.qq.com"
    assert (settings.reconnect_interval, settings.max_reconnect_attempts) == (1000, -1)
    assert (settings.heartbeat_interval, settings.request_timeout) == (30000, 10000)
    assert (settings.context_tokens, settings.reply_tokens, settings.stream_lifetime) == (32000, 4096, 540)
    assert (settings.group_history, settings.language, settings.timezone) == ("shared", "zh", ZoneInfo("Asia/Shanghai"))
    assert (settings.data_dir, settings.prompts_dir) == (Path("data"), Path("prompts"))
    assert (settings.prompt_group, settings.prompt_single) == ("group", "single")
    assert (settings.http, settings.ca_file, settings.allow_users) == (None, None, ())
    assert (settings.log_level, settings.log_format) == ("INFO", "text")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_table_and_the_dataclass_agree(setting: config.Setting) -> None:
    default = getattr(Settings(), setting.field)
    if setting.default:
        assert setting.parse(setting.default) == default
    else:
        assert not default
    assert setting.help
    assert re.search(r"[\u4e00-\u9fff]|json", setting.help_zh)


def test_every_field_is_a_setting() -> None:
    assert {each.name for each in fields(Settings)} - {"sources", "warnings"} == {each.field for each in SETTINGS}
    assert len({each.name for each in SETTINGS}) == len(SETTINGS)


def test_every_value_is_parsed(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("pem")
    settings = load(
        COMPLETE
        | {
            "WECOM_BOT_NAME": "小助手 Pro",
            "WECOM_CA_FILE": str(ca),
            "WECOM_MAX_RECONNECT_ATTEMPTS": "0",
            "OPENAI_BASE_URL": "https://api.deepseek.com/v1/",
            "OPENAI_MODELS": "a, b，c,,a",
            "AGENT_GROUP_HISTORY": "PER_USER",
            "AGENT_PROMPT_GROUP": "sales.md",
            "AGENT_ALLOW_USERS": " ZhangSan , lisi",
            "AGENT_TIMEZONE": "Europe/Berlin",
            "AGENT_HTTP": "[::1]:9464",
            "AGENT_LOG_LEVEL": "debug",
        },
        None,
    )
    assert settings.bot_name == "小助手 Pro"
    assert settings.ca_file == ca
    assert settings.max_reconnect_attempts == 0
    assert settings.openai_base_url == "https://api.deepseek.com/v1"
    assert settings.openai_models == ("a", "b", "c")
    assert settings.group_history == "per_user"
    assert settings.prompt_group == "sales"
    assert settings.allow_users == ("ZhangSan", "lisi")
    assert settings.timezone == ZoneInfo("Europe/Berlin")
    assert settings.http == ("::1", 9464)
    assert settings.log_level == "DEBUG"


def test_environment_beats_file_beats_default_and_blank_is_unset(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("OPENAI_MODEL=from-file\nWECOM_BOT_NAME=from-file\nAGENT_LANGUAGE=\nAGENT_REPLY_TOKENS=2000\n")
    settings = load(COMPLETE | {"WECOM_BOT_NAME": "  ", "AGENT_LANGUAGE": ""}, file)
    assert settings.openai_model == "deepseek-chat"
    assert settings.bot_name == "from-file"
    assert settings.language == "zh"
    assert settings.reply_tokens == 2000
    assert settings.sources["OPENAI_MODEL"] == "environment"
    assert settings.sources["WECOM_BOT_NAME"] == str(file)
    assert "AGENT_LANGUAGE" not in settings.sources


def test_an_absent_file_is_no_file(tmp_path: Path) -> None:
    assert load(COMPLETE, tmp_path / ".env") == load(COMPLETE, None)


# --- what is needed


def test_everything_missing_is_reported_at_once_with_its_remedy() -> None:
    problems = refused({})
    assert [problem.split(":")[0] for problem in problems] == [
        "WECOM_BOT_ID",
        "WECOM_BOT_SECRET",
        "OPENAI_MODEL",
        "OPENAI_API_KEY",
    ]
    assert all(": missing; " in problem for problem in problems)


def test_only_the_key_may_be_missing_and_only_with_a_base_url() -> None:
    keyless = {name: value for name, value in COMPLETE.items() if name != "OPENAI_API_KEY"}
    assert load(keyless | {"OPENAI_BASE_URL": "http://localhost:11434/v1"}, None).openai_api_key == ""
    assert [problem.split(":")[0] for problem in refused(keyless)] == ["OPENAI_API_KEY"]
    for name in ("WECOM_BOT_ID", "WECOM_BOT_SECRET", "OPENAI_MODEL"):
        others = {key: value for key, value in COMPLETE.items() if key != name} | {"OPENAI_BASE_URL": "https://x/v1"}
        assert [problem.split(":")[0] for problem in refused(others)] == [name]


def test_a_command_needs_only_what_it_says() -> None:
    settings = load({}, None, need=())
    assert settings == Settings()
    assert not settings.model_configured
    assert [problem.split(":")[0] for problem in refused({}, need=("model",))] == ["OPENAI_MODEL", "OPENAI_API_KEY"]
    assert load({"OPENAI_MODEL": "m", "OPENAI_BASE_URL": "http://localhost/v1"}, None, need=()).model_configured


def test_an_ignored_group_is_not_even_read() -> None:
    environ = {"WECOM_BOT_ID": "has space", "WECOM_BOT_WS_URL": "nonsense", "OPENAI_MODEL": "m", "OPENAI_API_KEY": "k"}
    settings = load(environ, None, need=("model",), ignore=("wecom",))
    assert (settings.bot_id, settings.ws_url) == ("", config.DEFAULT_WS_URL)
    assert len(refused(environ, need=())) == 2


# --- what is wrong


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WECOM_REQUEST_TIMEOUT", "10s", "'10s' is not a whole number; give one, at least 1, without a unit"),
        ("WECOM_MAX_RECONNECT_ATTEMPTS", "-2", "'-2' is out of range; give a whole number at least -1"),
        ("AGENT_STREAM_LIFETIME", "600", "'600' is out of range; give a whole number from 300 to 570"),
        ("AGENT_STREAM_LIFETIME", "299", "from 300 to 570"),
        ("AGENT_REPLY_TOKENS", "９９９", "is not a whole number"),
        ("AGENT_LANGUAGE", "cn", "'cn' is unknown; give one of zh, en"),
        ("AGENT_TIMEZONE", "Asia/Shangai", "'Asia/Shangai' is not a time zone; give an IANA name such as"),
        ("AGENT_TIMEZONE", "../etc/passwd", "is not a time zone"),
        ("AGENT_TIMEZONE", "Asia", "is not a time zone"),
        ("AGENT_HTTP", "9464", "is not host:port; give e.g. 127.0.0.1:9464"),
        ("AGENT_HTTP", ":9464", "is not host:port"),
        ("AGENT_HTTP", "localhost:70000", "is not host:port"),
        ("AGENT_PROMPT_GROUP", "../secret", "is not the name of a prompt file"),
        ("WECOM_BOT_WS_URL", "openws.work.weixin.qq.com", "is not a URL; give one that begins with wss:// or ws://"),
        ("WECOM_BOT_WS_URL", "wss://host:99999", "is not a URL"),
        ("OPENAI_BASE_URL", "ftp://host", "begins with https:// or http://"),
        ("OPENAI_BASE_URL", "https://h/v1/chat/completions", "leave '/chat/completions' off its end"),
        ("WECOM_CA_FILE", "/nowhere/ca.pem", "is not a file"),
        ("AGENT_DATA_DIR", __file__, "is not a folder"),
        ("WECOM_BOT_ID", "bot 1", "holds a space"),
        ("WECOM_BOT_NAME", "bot\u200b", "holds an invisible character"),
    ],
)
def test_a_wrong_value_names_itself_and_the_remedy(name: str, value: str, said: str) -> None:
    problems = refused(COMPLETE | {name: value})
    assert len(problems) == 1
    assert problems[0].startswith(f"{name}: ")
    assert said in problems[0]


def test_all_wrong_values_are_collected_and_a_wrong_one_is_not_missing_as_well(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("AGENT_LANGUAGE=french\nnonsense\n")
    problems = refused(COMPLETE | {"WECOM_BOT_ID": "机器人", "AGENT_RATE_PER_USER": "many"}, file)
    assert len(problems) == 4
    assert f"{file} line 2: 'nonsense'... is not NAME=value" in problems[0]
    assert "(in " in next(problem for problem in problems if problem.startswith("AGENT_LANGUAGE"))


def test_no_secret_in_repr_error_or_description() -> None:
    environ = COMPLETE | {
        "HTTPS_PROXY": "http://user:p@ss/word@proxy:3128",
        "OPENAI_BASE_URL": "https://me:hunter2@host/v1",
    }
    settings = load(COMPLETE | {"HTTPS_PROXY": "http://user:p%40ss@proxy:3128"}, None)
    shown = repr(settings) + repr(config.describe(settings))
    for secret in ("very-secret", "sk-key", "p%40ss"):
        assert secret not in shown
    assert ("HTTPS_PROXY", "http://***@proxy:3128", "environment") in config.describe(settings)
    assert ("OPENAI_API_KEY", "(set)", "environment") in config.describe(settings)
    assert "hunter2" not in repr(load(environ | {"HTTPS_PROXY": ""}, None))
    wrong = "\n".join(
        refused(
            environ
            | {"WECOM_BOT_SECRET": "密 secret", "OPENAI_API_KEY": "sk key", "OPENAI_BASE_URL": "x://a:hunter2@b"}
        )
    )
    assert "WECOM_BOT_SECRET: the value holds a space" in wrong
    for secret in ("密", "sk key", "hunter2", "ss/word"):
        assert secret not in wrong


def test_describe_shows_every_setting_as_it_would_be_written() -> None:
    rows = config.describe(load(COMPLETE | {"AGENT_HTTP": "[::1]:1", "AGENT_ADMINS": "a,b"}, None))
    assert [row[0] for row in rows] == [setting.name for setting in SETTINGS]
    assert ("AGENT_HTTP", "[::1]:1", "environment") in rows
    assert ("AGENT_ADMINS", "a,b", "environment") in rows
    assert ("AGENT_TIMEZONE", "Asia/Shanghai", "default") in rows
    assert ("WECOM_CA_FILE", "", "default") in rows


def test_missing_time_zone_data_is_said_with_its_remedy() -> None:
    program = (
        "import sys, zoneinfo; sys.modules['tzdata'] = None; zoneinfo.reset_tzpath(to=())\n"
        "from agent.config import load, SettingsError\n"
        "try: load({}, None, need=())\n"
        "except SettingsError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert said.startswith("AGENT_TIMEZONE: 'Asia/Shanghai', the default, cannot be looked up")
    assert "pip install tzdata" in said


# --- proxies


@pytest.mark.parametrize(
    ("environ", "text", "proxy"),
    [
        ({"https_proxy": "http://low:1"}, "", "http://low:1"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "", "http://low:1"),
        ({"HTTPS_PROXY": "http://up:1"}, "https_proxy=http://file:1", "http://up:1"),
        ({"https_proxy": ""}, "HTTPS_PROXY=http://file:1", "http://file:1"),
        ({}, "https_proxy=file:1", "http://file:1"),
    ],
)
def test_proxy_in_both_spellings(tmp_path: Path, environ: dict[str, str], text: str, proxy: str) -> None:
    file = tmp_path / ".env"
    file.write_text(text + "\nno_proxy=localhost,.corp\n")
    settings = load(COMPLETE | environ, file)
    assert settings.https_proxy == proxy
    assert settings.proxy_environment == {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "localhost,.corp",
        "no_proxy": "localhost,.corp",
    }


# --- warnings


def test_a_misspelt_name_in_the_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("AGENT_LANGAUGE=en\nAGENT_WHATEVER_THIS_IS=1\nPATH_OF_MINE=x\n")
    assert load(COMPLETE, file).warnings == (
        f"{file} line 1: AGENT_LANGAUGE is not a setting and has no effect; is AGENT_LANGUAGE meant?",
        f"{file} line 2: AGENT_WHATEVER_THIS_IS is not a setting and has no effect; .env.example lists the names",
    )


def test_an_unencrypted_gateway_elsewhere_is_noticed() -> None:
    assert "unencrypted" in load(COMPLETE | {"WECOM_BOT_WS_URL": "ws://10.0.0.1:8080"}, None).warnings[0]
    for url in ("ws://127.0.0.1:1", "ws://localhost:1", "ws://[::1]:1", "wss://10.0.0.1"):
        assert load(COMPLETE | {"WECOM_BOT_WS_URL": url}, None).warnings == ()


def test_a_time_that_was_probably_meant_in_seconds_is_noticed() -> None:
    (warning,) = load(COMPLETE | {"WECOM_HEARTBEAT_INTERVAL": "30"}, None).warnings
    assert warning == "WECOM_HEARTBEAT_INTERVAL: 30 milliseconds are very short; 30 s would be 30000"
    assert load(COMPLETE | {"WECOM_REQUEST_TIMEOUT": "10"}, None).warnings
    assert not load(COMPLETE | {"WECOM_HEARTBEAT_INTERVAL": "1000", "WECOM_REQUEST_TIMEOUT": "1000"}, None).warnings


# --- the file's syntax


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("export A=plain", "plain"),
        ("  A = spaced value  ", "spaced value"),
        ("A=value # comment", "value"),
        ("A=value#no-comment", "value#no-comment"),
        ("A=# only a comment", ""),
        ("A=", ""),
        ("A=''", ""),
        ("A='single # $HOME \\n'  # comment", "single # $HOME \\n"),
        ('A="double # \\"q\\" \\\\ \\n"', 'double # "q" \\ \n'),
        ("A=$HOME ${X}", "$HOME ${X}"),
        ("A=it's", "it's"),
        ("A=b=c==", "b=c=="),
    ],
)
def test_env_values(line: str, value: str) -> None:
    parsed = envfile.parse(line)
    assert parsed.values == {"A": value}
    assert parsed.problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("# fine\n\nNAME value", "line 3: 'NAME'... is not NAME=value"),
        ("A＝1", "line 1: 'A'... is not NAME=value"),
        ("1A=x", "line 1: '1A'... is not NAME=value"),
        ("A='open", "line 1: the value of A opens with a quote"),
        ('A="x" y', "line 1: the value of A opens with a quote"),
        ("A=1\r\nB=2\r\nA=3", "line 3: A has another value on line 1; remove one of them"),
    ],
)
def test_env_problems_name_their_line(text: str, problem: str) -> None:
    (found,) = envfile.parse(text).problems
    assert found.startswith(problem)


def test_a_bad_line_does_not_repeat_a_secret() -> None:
    (problem,) = envfile.parse("OPENAI_API_KEY sk-12345").problems
    assert "sk-12345" not in problem


def test_a_blank_line_of_the_same_name_is_no_second_value() -> None:
    assert envfile.parse("A=\nA=1\nA=\nA=1").values == {"A": "1"}
    assert envfile.parse("A=\nA=1\nA=\nA=1").problems == ()


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfeA\x00", "is not UTF-8; save the file as UTF-8")])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    assert said in refused(COMPLETE, file)[0]
    assert "cannot be read" in refused(COMPLETE, tmp_path)[0]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfAGENT_LANGUAGE=en\r\n")
    assert load(COMPLETE, file).language == "en"


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    envfile.parse(text)


printable = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")))


@given(printable.filter(lambda value: "'" not in value))
def test_a_single_quoted_value_comes_back_as_it_is(value: str) -> None:
    assert envfile.parse(f"A='{value}'").values == {"A": value}


@given(printable)
def test_a_double_quoted_value_comes_back_as_it_is(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert envfile.parse(f'A="{escaped}"').values == {"A": value}


@given(st.sampled_from(SETTINGS), st.text(min_size=1).map(str.strip).filter(bool))
def test_any_text_is_a_value_or_a_problem(setting: config.Setting, text: str) -> None:
    try:
        load({setting.name: text}, None, need=())
    except SettingsError as error:
        assert all(problem.startswith(f"{setting.name}: ") for problem in error.problems)


# --- .env.example


def test_env_example_is_the_table() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    shown = [(number, match) for number, line in enumerate(lines) if (match := re.fullmatch(r"#?([A-Z_]+)=(.*)", line))]
    assert [(match[1], match[2]) for _, match in shown] == [(each.name, each.default) for each in SETTINGS]
    for (number, _), setting in zip(shown, SETTINGS, strict=True):
        assert lines[number - 2 : number] == [f"# {setting.help_zh}", f"# {setting.help}"]


def test_env_example_asks_for_the_required_ones_first_and_is_valid() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    open_names = [line.partition("=")[0] for line in text.splitlines() if re.match(r"[A-Z]", line)]
    assert open_names == [setting.name for setting in SETTINGS[: len(open_names)]]
    assert {setting.name for setting in SETTINGS if setting.required} < set(open_names)
    assert envfile.parse(text).problems == ()
    # With every comment sign gone it is still valid: the defaults written out are the defaults.
    written = envfile.parse(re.sub(r"(?m)^#(?=[A-Z_]+=)", "", text))
    assert load(written.values | COMPLETE, None) == load(COMPLETE, None)

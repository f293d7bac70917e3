"""Settings: one table, one frozen value, read once.

Knows the name, default, meaning and form of every setting, and which value wins: the environment, then `.env`, then
the default; a blank value counts as unset. Everything that is wrong is reported in one error. It does not know what a
setting is used for, reads no environment but the one handed in, and changes nothing: a proxy that `.env` names has to
be exported by the caller (`Settings.proxy_environment`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent import envfile

DEFAULT_WS_URL = "wss://openws.work.weixin.qq.com"
DEFAULT_TIMEZONE = "Asia/Shanghai"
# Milliseconds below which a time on the line was probably meant in seconds.
SHORT = 1000


class SettingsError(Exception):
    """Settings are missing or wrong. `problems` holds one line each: the name, what is wrong, the remedy."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting, parsed. Milliseconds, seconds and tokens are integers as given; lists are tuples.

    `load` fills it from the environment; tests and embedders may build it directly, the defaults are the same.
    """

    bot_id: str = ""
    bot_secret: str = field(default="", repr=False)
    bot_name: str = ""
    ws_url: str = DEFAULT_WS_URL
    ca_file: Path | None = None
    reconnect_interval: int = 1000
    max_reconnect_attempts: int = -1
    heartbeat_interval: int = 30000
    request_timeout: int = 10000
    openai_api_key: str = field(default="", repr=False)
    # A URL may carry a user and a password, so these two stay out of repr as well.
    openai_base_url: str = field(default="", repr=False)
    openai_model: str = ""
    openai_models: tuple[str, ...] = ()
    openai_vision_model: str = ""
    openai_image_model: str = ""
    openai_fallback_models: tuple[str, ...] = ()
    https_proxy: str = field(default="", repr=False)
    no_proxy: str = ""
    data_dir: Path = Path("data")
    prompts_dir: Path = Path("prompts")
    prompt_group: str = "group"
    prompt_single: str = "single"
    group_history: Literal["shared", "per_user"] = "shared"
    context_tokens: int = 32000
    reply_tokens: int = 4096
    allow_users: tuple[str, ...] = ()
    allow_chats: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    daily_tokens_per_user: int = 0
    rate_per_user: int = 0
    language: Literal["zh", "en"] = "zh"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo(DEFAULT_TIMEZONE))
    stream_lifetime: int = 540
    http: tuple[str, int] | None = None
    log_level: str = "INFO"
    log_format: Literal["text", "json"] = "text"
    # Where each value that is not a default came from: setting name -> "environment" or the file's path.
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    # What is odd but no error, one sentence each: a name in `.env` that nothing reads, a line without encryption.
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def model_configured(self) -> bool:
        """Whether a model can be called: it is named, and a key or a base URL says where."""
        return bool(self.openai_model and (self.openai_api_key or self.openai_base_url))

    @property
    def proxy_environment(self) -> dict[str, str]:
        """The proxy as environment variables, in both spellings: libraries read it there, some only one of them."""
        pairs = (("HTTPS_PROXY", self.https_proxy), ("NO_PROXY", self.no_proxy))
        return {spelling: value for name, value in pairs if value for spelling in (name, name.lower())}


@dataclass(frozen=True)
class Setting:
    """One row of the table. `default` is its text form; `parse` turns trimmed, non-empty text into the value.

    A ValueError of `parse` says what is wrong and the remedy, without the value.
    """

    name: str
    field: str
    default: str
    kind: str
    help: str
    help_zh: str
    parse: Callable[[str], Any]
    group: Literal["wecom", "model", "agent"] = "agent"
    secret: bool = False
    required: bool = False


def load(
    environ: Mapping[str, str],
    env_file: Path | None,
    *,
    need: Iterable[str] = ("wecom", "model"),
    ignore: Iterable[str] = (),
) -> Settings:
    """The settings from `environ`, then `env_file` (None or absent: none), then the defaults.

    `need` names the groups whose required settings have to be there: "wecom" (bot id and secret) and "model" (the
    model's name, and a key unless a base URL is set). `ignore` names groups that are not read at all and keep their
    defaults, as the playground does with "wecom". A wrong value of any other setting is an error, needed or not.

    Raises SettingsError with every problem found.
    """
    needed, ignored = set(need), set(ignore)
    written, problems, warnings = _read_file(env_file)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        raw, source = _find(setting.name, environ, written, str(env_file))
        if not raw or setting.group in ignored:
            continue
        sources[setting.name] = source
        try:
            values[setting.field] = setting.parse(raw)
        except ValueError as error:
            shown = "the value" if setting.secret else repr(_without_password(raw))
            problems.append(f"{setting.name}: {shown} {error}" + ("" if source == "environment" else f" (in {source})"))
    problems += _missing(needed, sources)
    if "AGENT_TIMEZONE" not in sources:
        # The one default that a machine may lack.
        try:
            _zone(DEFAULT_TIMEZONE)
        except ValueError as error:
            problems.append(f"AGENT_TIMEZONE: {DEFAULT_TIMEZONE!r}, the default, {error}")
    if problems:
        raise SettingsError(problems)
    settings = Settings(**values)
    if settings.ws_url.startswith("ws://") and not _is_loopback(settings.ws_url):
        warnings.append(
            "WECOM_BOT_WS_URL: 'ws://' to another machine sends the secret and every message unencrypted; "
            "use wss:// if the gateway offers it"
        )
    for name, value in (
        ("HEARTBEAT_INTERVAL", settings.heartbeat_interval),
        ("REQUEST_TIMEOUT", settings.request_timeout),
    ):
        if value < SHORT:
            warnings.append(f"WECOM_{name}: {value} milliseconds are very short; {value} s would be {value}000")
    return replace(settings, sources=MappingProxyType(sources), warnings=tuple(warnings))


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """(name, value, source) of every setting, to be looked at. A secret shows only whether it is set."""
    rows = []
    for setting in SETTINGS:
        match getattr(settings, setting.field):
            case value if setting.secret:
                shown = "(set)" if value else "(not set)"
            case None:
                shown = ""
            case (str(host), int(port)):
                shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            case tuple(names):
                shown = ",".join(names)
            case value:
                shown = _without_password(str(value))
        rows.append((setting.name, shown, settings.sources.get(setting.name, "default")))
    return rows


def _find(name: str, environ: Mapping[str, str], written: Mapping[str, str], file: str) -> tuple[str, str]:
    # The lower-case spelling of a proxy comes first because it wins in Python's own reading of the environment.
    spellings = (name.lower(), name) if name in ("HTTPS_PROXY", "NO_PROXY") else (name,)
    for values, source in ((environ, "environment"), (written, file)):
        for spelling in spellings:
            if value := values.get(spelling, "").strip():
                return value, source
    return "", ""


def _read_file(path: Path | None) -> tuple[dict[str, str], list[str], list[str]]:
    """Values, problems and warnings of the file."""
    try:
        text = path.read_bytes().decode("utf-8-sig") if path else ""
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError as error:
        return {}, [f"{path}: byte {error.start + 1} is not UTF-8; save the file as UTF-8"], []
    except OSError as error:
        return {}, [f"{path}: cannot be read ({error.strerror}); give this user read access, or remove it"], []
    parsed = envfile.parse(text)
    names = [setting.name for setting in SETTINGS]
    warnings = [
        f"{path} line {line}: {name} is not a setting and has no effect{_suggestion(name, names)}"
        for name, line in parsed.lines.items()
        if name.startswith(("WECOM_", "OPENAI_", "AGENT_")) and name not in names
    ]
    return parsed.values, [f"{path} {problem}" for problem in parsed.problems], warnings


def _suggestion(name: str, names: list[str]) -> str:
    from difflib import get_close_matches  # only needed when a name is wrong

    close = get_close_matches(name, names, n=1, cutoff=0.8)
    return f"; is {close[0]} meant?" if close else "; .env.example lists the names"


def _missing(needed: set[str], sources: Mapping[str, str]) -> list[str]:
    missing = [each.name for each in SETTINGS if each.required and each.group in needed and each.name not in sources]
    if "model" in needed and not {"OPENAI_API_KEY", "OPENAI_BASE_URL"} & sources.keys():
        missing.append("OPENAI_API_KEY")
    return [f"{name}: missing; {_REMEDIES[name]}" for name in missing]


_REMEDIES = {
    "WECOM_BOT_ID": "copy the Bot ID of the long connection (API 模式, 长连接) from the WeCom admin console into .env",
    "WECOM_BOT_SECRET": "copy the Secret that stands beside the Bot ID in the WeCom admin console into .env",
    "OPENAI_MODEL": "name the model that answers, as its endpoint spells it, e.g. OPENAI_MODEL=deepseek-flash",
    "OPENAI_API_KEY": "set the endpoint's key, or OPENAI_BASE_URL alone for one that needs no key (Ollama, vLLM)",
}


def _without_password(value: str) -> str:
    return re.sub(r"(\w+://|^).*@", r"\1***@", value)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


# --- kinds of value


def _text(raw: str) -> str:
    if not raw.isprintable():
        raise ValueError("holds an invisible character; type it again")
    return raw


def _credential(raw: str) -> str:
    if not (raw.isascii() and raw.isprintable()) or " " in raw:
        raise ValueError("holds a space, a line break or a non-ASCII character; copy it again, alone")
    return raw


def _names(raw: str) -> tuple[str, ...]:
    # A Chinese keyboard types the full-width comma, and no id or model name contains one.
    return tuple(dict.fromkeys(name for part in re.split(r"[,，]", raw) if (name := part.strip())))


def _integer(least: int, most: int | None = None) -> Callable[[str], int]:
    span = f"at least {least}" if most is None else f"from {least} to {most}"

    def parse(raw: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,12}", raw):
            raise ValueError(f"is not a whole number; give one, {span}, without a unit")
        value = int(raw)
        if value < least or (most is not None and value > most):
            raise ValueError(f"is out of range; give a whole number {span}")
        return value

    return parse


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        for choice in choices:
            if raw.lower() == choice.lower():
                return choice
        raise ValueError(f"is unknown; give one of {', '.join(choices)}")

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        try:
            parts = urlsplit(raw)
            # Asking for the port is what checks it.
            valid = bool(parts.hostname) and parts.scheme in schemes and parts.port != 0
        except ValueError:
            valid = False
        if not valid or not raw.isprintable() or " " in raw:
            raise ValueError(f"is not a URL; give one that begins with {' or '.join(f'{each}://' for each in schemes)}")
        return raw

    return parse


def _base_url(raw: str) -> str:
    url = _url("https", "http")(raw).rstrip("/")
    for tail in ("/chat/completions", "/completions", "/responses"):
        if url.endswith(tail):
            raise ValueError(f"names one operation of the endpoint; leave {tail!r} off its end")
    return url


def _proxy(raw: str) -> str:
    # curl takes an address without a scheme as an HTTP proxy, so that is how many are written down.
    return _url("http", "https", "socks5", "socks5h")(raw if "://" in raw else f"http://{raw}")


def _folder(raw: str) -> Path:
    path = Path(raw).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError("is not a folder; give a folder, existing or not")
    return path


def _file(raw: str) -> Path:
    path = Path(raw).expanduser()
    if not path.is_file():
        raise ValueError(f"is not a file (as seen from {Path.cwd()}); give the path of a PEM file")
    return path


def _prompt_name(raw: str) -> str:
    name = raw.removesuffix(".md")
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise ValueError("is not the name of a prompt file; give a name such as 'group', without folders")
    return name


def _zone(raw: str) -> ZoneInfo:
    try:
        return ZoneInfo(raw)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        ZoneInfo(DEFAULT_TIMEZONE)
    except (ZoneInfoNotFoundError, OSError):
        raise ValueError("cannot be looked up: there is no time zone data; run 'pip install tzdata'") from None
    raise ValueError(f"is not a time zone; give an IANA name such as {DEFAULT_TIMEZONE}")


def _address(raw: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})", raw)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("is not host:port; give e.g. 127.0.0.1:9464, or 0.0.0.0:9464 for every interface")
    return match["v6"] or match["host"], int(match["port"])


# --- the contract, in the order of `.env.example`: required ones first, then by subject

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("WECOM_BOT_ID", "bot_id", "", "text",
        "the bot's id, from the WeCom admin console",
        "智能机器人的 Bot ID，在企业微信管理后台查看",
        _credential, group="wecom", required=True),
    Setting("WECOM_BOT_SECRET", "bot_secret", "", "secret",
        "the Secret of the long connection (neither Token nor EncodingAESKey)",
        "长连接模式的 Secret（不是 Token，也不是 EncodingAESKey）",
        _credential, group="wecom", secret=True, required=True),
    Setting("OPENAI_MODEL", "openai_model", "", "text",
        "the model that answers, e.g. deepseek-flash",
        "回答问题的模型，例如 deepseek-flash",
        _text, group="model", required=True),
    Setting("OPENAI_API_KEY", "openai_api_key", "", "secret",
        "the key of the OpenAI-compatible endpoint; may stay empty when OPENAI_BASE_URL is set (Ollama, vLLM)",
        "模型接口的密钥；填了 OPENAI_BASE_URL 时可以留空（Ollama、vLLM）",
        _credential, group="model", secret=True),
    Setting("OPENAI_BASE_URL", "openai_base_url", "", "URL",
        "the endpoint, e.g. https://api.deepseek.com/v1; empty: OpenAI's own",
        "模型接口的地址，例如 https://api.deepseek.com/v1；留空为 OpenAI 官方",
        _base_url, group="model"),

    Setting("WECOM_BOT_NAME", "bot_name", "", "text",
        "the bot's name as groups show it; its leading @name is cut from a question",
        "机器人在群里显示的名称，用来去掉问题开头的 @名称",
        _text, group="wecom"),
    Setting("WECOM_BOT_WS_URL", "ws_url", DEFAULT_WS_URL, "URL",
        "the gateway; a private deployment shows its own in the admin console",
        "网关地址；私有部署请填管理后台给出的地址",
        _url("wss", "ws"), group="wecom"),
    Setting("WECOM_CA_FILE", "ca_file", "", "file",
        "PEM file with a private deployment's CA, for the line and for media",
        "私有部署自有 CA 的 PEM 文件，长连接和媒体下载都用它",
        _file),
    Setting("WECOM_RECONNECT_INTERVAL", "reconnect_interval", "1000", "milliseconds",
        "milliseconds before the first reconnect; doubles up to 30 s",
        "首次重连前等待的毫秒数，之后翻倍，最长 30 秒",
        _integer(1)),
    Setting("WECOM_MAX_RECONNECT_ATTEMPTS", "max_reconnect_attempts", "-1", "number",
        "how often to reconnect; -1: for ever, 0: never",
        "重连次数；-1 一直重连，0 不重连",
        _integer(-1)),
    Setting("WECOM_HEARTBEAT_INTERVAL", "heartbeat_interval", "30000", "milliseconds",
        "milliseconds between two pings",
        "两次心跳间隔的毫秒数",
        _integer(1)),
    Setting("WECOM_REQUEST_TIMEOUT", "request_timeout", "10000", "milliseconds",
        "milliseconds to wait for WeCom's ack; uploads wait at least 30 s",
        "等待企业微信回执的毫秒数；上传至少等 30 秒",
        _integer(1)),

    Setting("OPENAI_MODELS", "openai_models", "", "list",
        "the models that /model offers",
        "/model 可以切换的模型",
        _names, group="model"),
    Setting("OPENAI_VISION_MODEL", "openai_vision_model", "", "text",
        "looks at pictures when the main model cannot",
        "主模型不能看图时，由它看图",
        _text, group="model"),
    Setting("OPENAI_IMAGE_MODEL", "openai_image_model", "", "text",
        "draws pictures",
        "画图的模型",
        _text, group="model"),
    Setting("OPENAI_FALLBACK_MODELS", "openai_fallback_models", "", "list",
        "step in, in this order, when the main model fails",
        "主模型出错时依次接替的模型",
        _names, group="model"),
    Setting("HTTPS_PROXY", "https_proxy", "", "URL",
        "proxy for the line, media and the model",
        "长连接、媒体和模型都走的代理",
        _proxy),
    Setting("NO_PROXY", "no_proxy", "", "list",
        "hosts reached without the proxy",
        "不走代理的主机",
        _text),

    Setting("AGENT_DATA_DIR", "data_dir", "data", "folder",
        "the database and the files; back it up",
        "数据库和文件都在这里，请备份",
        _folder),
    Setting("AGENT_PROMPTS_DIR", "prompts_dir", "prompts", "folder",
        "the prompt files; without the folder the packaged ones serve",
        "提示词文件夹；没有这个文件夹时用自带的提示词",
        _folder),
    Setting("AGENT_PROMPT_GROUP", "prompt_group", "group", "text",
        "the prompt file for group chats",
        "群聊用哪个提示词文件",
        _prompt_name),
    Setting("AGENT_PROMPT_SINGLE", "prompt_single", "single", "text",
        "the prompt file for single chats",
        "单聊用哪个提示词文件",
        _prompt_name),
    Setting("AGENT_GROUP_HISTORY", "group_history", "shared", "choice",
        "shared: a group is one conversation; per_user: one for each person in it",
        "shared 全群共用一段对话；per_user 群里每人各一段",
        _choice("shared", "per_user")),
    Setting("AGENT_CONTEXT_TOKENS", "context_tokens", "32000", "tokens",
        "tokens for prompt, history and tools' results together",
        "提示词、历史和工具结果合计的 token 上限",
        _integer(1000)),
    Setting("AGENT_REPLY_TOKENS", "reply_tokens", "4096", "tokens",
        "tokens for one answer",
        "一次回答的 token 上限",
        _integer(16)),

    Setting("AGENT_ALLOW_USERS", "allow_users", "", "list",
        "user ids that may ask; empty: everyone whom WeCom lets in",
        "可以提问的用户 ID；留空则企业微信放行的人都可以",
        _names),
    Setting("AGENT_ALLOW_CHATS", "allow_chats", "", "list",
        "ids of the groups in which the bot answers; empty: all",
        "机器人会回答的群的 ID；留空则不限",
        _names),
    Setting("AGENT_ADMINS", "admins", "", "list",
        "user ids that may set things for everyone; empty: nobody",
        "管理员的用户 ID；留空则没有管理员",
        _names),
    Setting("AGENT_DAILY_TOKENS_PER_USER", "daily_tokens_per_user", "0", "tokens",
        "tokens for one person a day, in AGENT_TIMEZONE; 0: no limit",
        "每人每天的 token 额度，按 AGENT_TIMEZONE 计；0 不限",
        _integer(0)),
    Setting("AGENT_RATE_PER_USER", "rate_per_user", "0", "number",
        "a person's messages a minute; 0: no limit",
        "每人每分钟的消息数；0 不限",
        _integer(0)),

    Setting("AGENT_LANGUAGE", "language", "zh", "choice",
        "the language of the bot's own words: zh or en",
        "机器人自己的提示语用 zh 还是 en",
        _choice("zh", "en")),
    Setting("AGENT_TIMEZONE", "timezone", DEFAULT_TIMEZONE, "time zone",
        "for dates in prompts and for daily budgets",
        "提示词里的日期和每日额度所用的时区",
        _zone),
    Setting("AGENT_STREAM_LIFETIME", "stream_lifetime", "540", "seconds",
        "seconds for which one bubble grows before the answer goes on in a new one, 300 to 570",
        "一个气泡更新多少秒后换新气泡继续，300 到 570",
        _integer(300, 570)),
    Setting("AGENT_HTTP", "http", "", "host:port",
        "serves /healthz, /readyz and /metrics there, e.g. 127.0.0.1:9464; empty: off",
        "在此提供 /healthz、/readyz、/metrics，例如 127.0.0.1:9464；留空关闭",
        _address),
    Setting("AGENT_LOG_LEVEL", "log_level", "INFO", "choice",
        "DEBUG, INFO, WARNING or ERROR; only DEBUG logs message text",
        "DEBUG、INFO、WARNING 或 ERROR；只有 DEBUG 会记录消息内容",
        _choice("DEBUG", "INFO", "WARNING", "ERROR")),
    Setting("AGENT_LOG_FORMAT", "log_format", "text", "choice",
        "text or json",
        "text 或 json",
        _choice("text", "json")),
)
# fmt: on

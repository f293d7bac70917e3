"""The command line: words in, an exit code out. The only module that knows bot, line and simulator.

Exit codes: 0 stopped on purpose, 2 settings or credentials, 3 displaced by another instance, 1 anything else.
Each command imports what it needs when it runs, so that `--help` is quick.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import __version__

if TYPE_CHECKING:
    from agent.config import Settings

OK, FAILED, MISCONFIGURED, DISPLACED = 0, 1, 2, 3
ENV_FILE = Path(".env")


def main(words: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an emoji on a GBK terminal
    arguments = _parser().parse_args(words)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        code = _guarded(run, arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return OK if run in (_run, _playground) else FAILED  # a `send` that was broken off is not acked
    except BrokenPipeError:  # `wecom-agent history X | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wecom-agent", description="LLM chat agent for WeCom (企业微信) AI bots on the WebSocket long connection."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    playground = commands.add_parser(
        "playground", help="try it in a browser: gateway simulator, bot and page in one process, no credentials needed"
    )
    playground.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    playground.add_argument(
        "--port", type=_port, default=8765, help="port of the page (%(default)s); 0 picks a free one"
    )
    playground.add_argument("--no-browser", action="store_true", help="do not open the page")
    playground.add_argument(
        "--model",
        choices=("auto", "scripted", "real"),
        default="auto",
        help="auto takes the configured model, else the scripted one",
    )
    playground.set_defaults(run=_playground)

    run = commands.add_parser("run", help="run the bot against WeCom")
    run.set_defaults(run=_run)

    check = commands.add_parser("check", help="check settings, prompts, network, WeCom, model, disk; say what to do")
    check.add_argument("--offline", action="store_true", help="contact nobody")
    check.set_defaults(run=_check)

    chats = commands.add_parser("chats", help="list the chats")
    history = commands.add_parser("history", help="show what was said in a chat")
    history.add_argument("chat", metavar="CHAT", help="its key, group id or user id, as `chats` lists them")
    history.add_argument("--limit", type=_positive, default=50, help="newest turns shown (%(default)s)")
    stats = commands.add_parser("stats", help="turns, errors, latencies, tokens, deliveries")
    stats.add_argument("--days", type=_positive, default=7, help="how far back, today included (%(default)s)")
    feedback = commands.add_parser("feedback", help="likes and dislikes with their questions and answers")
    feedback.add_argument("--limit", type=_positive, default=100, help="newest ones shown (%(default)s)")
    for command, name in ((chats, "chats"), (history, "history"), (stats, "stats"), (feedback, "feedback")):
        form = command.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_const", dest="form", const="json", help="as JSON")
        form.add_argument("--csv", action="store_const", dest="form", const="csv", help="as CSV")
        command.set_defaults(run=_look, look=name, form="table")

    send = commands.add_parser("send", help="send a message through the running bot")
    send.add_argument("chat", metavar="CHAT", help="a group's chat id or a user id, as `chats` lists them")
    send.add_argument("text", metavar="TEXT", help="Markdown; '-' reads it from standard input")
    send.add_argument("--file", type=Path, help="a file of at most 20 MB to send after the text")
    send.set_defaults(run=_send)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999999")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _guarded(run: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Runs a command; what it raises becomes a sentence on standard error and an exit code."""
    from agent.config import SettingsError
    from agent.store import StoreError
    from agent.store.lock import DataLocked
    from agent.wecom import CredentialsRefused, Displaced, WecomError

    try:
        return run(arguments)
    except SettingsError as error:
        _complain("settings are missing or wrong:", *(f"  {problem}" for problem in error.problems))
        _complain("see .env.example; put them into .env or the environment, then try `wecom-agent check`")
        return MISCONFIGURED
    except CredentialsRefused as error:
        _complain(str(error))
        return MISCONFIGURED
    except Displaced as error:
        _complain(str(error))
        return DISPLACED
    except BrokenPipeError:
        raise
    except (StoreError, DataLocked, WecomError, OSError) as error:
        _complain(str(error))
        return FAILED


def _complain(*lines: str) -> None:
    for line in lines:
        print(line if line.startswith(" ") else f"wecom-agent: {line}", file=sys.stderr)


def _load(*, need: tuple[str, ...], ignore: tuple[str, ...] = ()) -> "Settings":
    """The settings, with logging and proxies set up as they say. Raises SettingsError."""
    from agent import config, logs

    settings = config.load(os.environ, ENV_FILE, need=need, ignore=ignore)
    logs.set_up(settings.log_level, settings.log_format)
    os.environ.update(settings.proxy_environment)
    for warning in settings.warnings:
        _complain(warning)
    return settings


def _run(arguments: argparse.Namespace) -> int:
    _stop_on_signals()
    from agent.serve import serve

    serve(_load(need=("wecom", "model")))
    return OK


def _playground(arguments: argparse.Namespace) -> int:
    _stop_on_signals()
    from agent.playground import play

    settings = _load(need=("model",) if arguments.model == "real" else (), ignore=("wecom",))
    play(
        settings,
        host=arguments.host,
        port=arguments.port,
        browser=not arguments.no_browser,
        scripted=arguments.model == "scripted" or not settings.model_configured,
    )
    return OK


def _stop_on_signals() -> None:
    """Until the loop takes over: who changes his mind during the start has stopped the bot on purpose, too.

    No KeyboardInterrupt, of which Python dies in the end if it comes while a dataclass is made.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(OK))


def _check(arguments: argparse.Namespace) -> int:
    from agent import check

    return OK if check.report(ENV_FILE, offline=arguments.offline) else MISCONFIGURED


def _look(arguments: argparse.Namespace) -> int:
    from agent import look

    settings = _load(need=())
    try:
        look.show(settings, arguments.look, arguments.form, vars(arguments))
    except look.ChatUnclear as error:
        _complain(str(error))
        return FAILED
    return OK


def _send(arguments: argparse.Namespace) -> int:
    from agent import sender

    settings = _load(need=())
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    sentence, acked = sender.send(settings, arguments.chat, text, arguments.file)
    if acked:
        print(sentence)
    else:
        _complain(sentence)
    return OK if acked else FAILED

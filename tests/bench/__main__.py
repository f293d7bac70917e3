"""`python -m tests.bench line`: the comparison as a Markdown table. `profile NAME`: where a client spends its time."""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from . import bot, line, measures
from .findings import FINDINGS
from .profile import profile


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compare = commands.add_parser("line", help="compare agent.wecom with four SDKs, and measure the bot")
    compare.add_argument("--runs", type=int, default=5, help="runs of each client, in turn (default 5)")
    compare.add_argument("--quick", action="store_true", help="smaller sizes: a self-test, not a measurement")
    compare.add_argument("--only", action="append", choices=measures.NAMES, help="this client alone (repeatable)")
    compare.add_argument("--no-bot", action="store_true", help="leave out the bot's rows")
    compare.add_argument("--json", type=Path, help="write every run's figures to this file")
    where = commands.add_parser("profile", help="profile one Python client on one stream and 100 chats")
    where.add_argument("name", choices=[name for name in measures.NAMES if name != measures.NODE_SDK])
    words = parser.parse_args()

    if not sys.platform.startswith("linux"):
        print("the bench reads /proc and needs Linux", file=sys.stderr)
        return 1
    far_cores, near_cores = cores()
    if words.command == "profile":
        print(profile(words.name, line.Sizes(), near_cores, far_cores))
        return 0

    sizes = line.QUICK if words.quick else line.Sizes()
    names = tuple(name for name in measures.NAMES if not words.only or name in words.only)
    print(header(words.runs, near_cores, far_cores), flush=True)
    results = line.measure(words.runs, sizes, names, near_cores, far_cores)
    print(measures.table(results, names, FINDINGS), flush=True)
    figures: bot.Figures = {}
    if not words.no_bot:
        tokens = bot.QUICK_TOKENS if words.quick else bot.TOKENS
        figures, trouble = bot.measure(words.runs, sizes, tokens, near_cores, far_cores)
        print("\n" + bot.table(figures, trouble, FINDINGS))
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}")
    if words.json is not None:
        words.json.write_text(json.dumps({**results.figures, "bot": figures}, indent=1))
    return 0


def cores() -> tuple[set[int], set[int]]:
    """(the gateway's core, the clients' core); empty sets, which pin nothing, on a machine with one."""
    usable = sorted(os.sched_getaffinity(0))
    return ({usable[0]}, {usable[-1]}) if len(usable) > 1 else (set(), set())


def header(runs: int, near_cores: set[int], far_cores: set[int]) -> str:
    pinned = f"clients on core {near_cores}, gateway on core {far_cores}" if near_cores else "one core, nothing pinned"
    return "\n".join(
        (
            f"Medians of {runs} interleaved runs; {pinned}; load average {os.getloadavg()[0]:.1f} at the start.",
            f"Python {platform.python_version()}, websockets {version('websockets')}, {platform.machine()} "
            f"{platform.system()} {platform.release()}.",
            "The gateway is the bench's own: it checks nothing and acks at once; its CPU is in the table.",
            "",
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())

"""The bot itself: `python -m agent run` between the bench's gateway and its scripted model.

Aims are printed beside the figures and never asserted. The gateway acks at once, where WeCom takes 0.2-0.55 s (protocol
§9.4), so the bot sends more frames here than it would there.
"""

import importlib.util
import statistics
import sys
import tempfile
import time
from pathlib import Path

from .line import ROOT, SETTLE, Far, Sizes, far_side
from .process import Child, Failed, clean_environment

TOKENS = 200
QUICK_TOKENS = 60
STOPPING = 20.0

# key, title, aim
ROWS = (
    ("start", "start to subscribed, s", 1.5),
    ("help", "`python -m agent --help`, s", 0.25),
    ("idle", "memory, idle, MB", None),
    ("peak", "memory, peak with 100 chats, MB", 190.0),
    ("cpu", "CPU s per 1000 model tokens, 100 chats x 20 tokens/s", 0.15),
)

Figures = dict[str, list[float]]


def measure(runs: int, sizes: Sizes, tokens: int, bot_cores: set[int], far_cores: set[int]) -> tuple[Figures, str]:
    """(figures by row, one a run; why the rest is missing)."""
    figures: Figures = {key: [] for key, _, _ in ROWS}
    if importlib.util.find_spec("agent.cli") is None:
        return figures, "there is no agent.cli, so `python -m agent` does not run"
    try:
        for run in range(runs):
            print(f"run {run + 1} of {runs}: the bot", file=sys.stderr, flush=True)
            figures["help"].append(_help(bot_cores))
            with far_side(far_cores) as far, tempfile.TemporaryDirectory() as folder:
                _visit(far, Path(folder), sizes, tokens, bot_cores, figures)
    except Failed as failure:
        return figures, str(failure)
    return figures, ""


def _help(cores: set[int]) -> float:
    environment = clean_environment(PYTHONPATH=str(ROOT))
    with Child([sys.executable, "-m", "agent", "--help"], cores, environment, talks=False) as child:
        code = child.wait(30)
        seconds = time.perf_counter() - child.started
        if code:
            raise Failed(f"--help ended with {code}: {child.last_words()}")
    return seconds


def _visit(far: Far, folder: Path, sizes: Sizes, tokens: int, cores: set[int], figures: Figures) -> None:
    environment = clean_environment(
        PYTHONPATH=str(ROOT),
        WECOM_BOT_ID="bot",
        WECOM_BOT_SECRET="secret",
        WECOM_BOT_NAME="Bot",
        WECOM_BOT_WS_URL=far.ws,
        OPENAI_API_KEY="key",
        OPENAI_BASE_URL=far.model,
        OPENAI_MODEL="scripted",
        AGENT_DATA_DIR=str(folder / "data"),
        AGENT_PROMPTS_DIR=str(ROOT / "prompts"),
    )
    with Child([sys.executable, "-m", "agent", "run"], cores, environment, folder, talks=False) as bot:
        try:
            far.arrived(30)
            figures["start"].append(time.perf_counter() - bot.started)
            time.sleep(SETTLE)
            figures["idle"].append(bot.memory()[0])
            _ask(far, 1, 10)  # loads what the first answer needs
            cpu = bot.cpu()
            _ask(far, sizes.chats, tokens)
            figures["cpu"].append((bot.cpu() - cpu) * 1000 / (sizes.chats * tokens))
            figures["peak"].append(bot.memory()[1])
        except Failed as failure:
            raise Failed(f"{failure}; {bot.last_words()}") from None
        bot.stop()
        bot.wait(STOPPING)


def _ask(far: Far, chats: int, tokens: int) -> None:
    before = far.usage()["tokens"]
    far.ask("bot", f"answer in {tokens} tokens", chats)
    seen = far.usage()["tokens"] - before
    if seen != chats * tokens:
        raise Failed(f"the model was asked for {seen:g} tokens instead of {chats * tokens}")


def table(figures: Figures, trouble: str, findings: dict[str, str]) -> str:
    """The bot's figures beside their aims as Markdown, and why rows are empty."""
    lines = ["| the bot | median | aim |", "| --- | ---: | ---: |"]
    above = []
    for key, title, aim in ROWS:
        values = figures[key]
        median = statistics.median(values) if values else None
        over = median is not None and aim is not None and median > aim
        if over:
            above.append(f"- {title}: {median:.3g}, aim {aim:g}. {findings.get(f'bot_{key}', '')}")
        shown = "-" if median is None else f"{median:.3g}"
        lines.append(f"| {title} | {shown} | {'' if aim is None else f'{aim:g}'}{' above' if over else ''} |")
    if above:
        lines += ["", "Above their aims:", *above]
    if trouble:
        lines += ["", f"Not measured: {trouble}"]
    return "\n".join(lines)

"""The line: `agent.wecom` beside four SDKs on one gateway, each a process on one core, the gateway on the other.

Every client answers a text with stream frames through its public API as its README shows it: the whole text so far,
each frame after the ack of the one before, the last one finishing. Logging is off for all of them.

In a run all clients are connected and one works at a time, in short turns that follow one another: what else the
machine does meets all of them alike.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import Unavailable, node_environment, python_environment
from .measures import NODE_SDK, OURS, Results
from .process import Child, Failed, Refused, clean_environment

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CLIENTS = HERE / "clients"
UPLOAD_SIZE = 10_000_000
SETTLE = 1.0

REQUIREMENTS = {
    "wecom-aibot-sdk-python": "wecom-aibot-sdk-python==0.1.7",
    "wecom-aibot-sdk": "wecom-aibot-sdk==1.0.8",
    "wecom-aibot-python-sdk": "wecom-aibot-python-sdk==1.0.2",
    NODE_SDK: "@wecom/aibot-node-sdk@1.0.7",
}


@dataclass(frozen=True)
class Sizes:
    """How much of everything in one turn, and how many turns in a run."""

    turns: int = 4
    rounds: int = 75
    one_stream: int = 500
    chats: int = 100
    chat_frames: int = 50
    files: int = 3


QUICK = Sizes(turns=2, rounds=50, one_stream=250, chat_frames=20, files=1)


def command_of(name: str) -> tuple[list[str], dict[str, str]]:
    """(command without the gateway's URL and the bot's id, environment) of a client, its packages installed.

    Raises:
        Unavailable: they cannot be installed here.
    """
    if name == OURS:
        return [sys.executable, str(CLIENTS / "agent-wecom.py")], clean_environment(PYTHONPATH=str(ROOT))
    if name == NODE_SDK:
        node, modules = node_environment(REQUIREMENTS[name])
        return [node, str(CLIENTS / f"{name}.cjs")], clean_environment(NODE_PATH=str(modules))
    return [str(python_environment(REQUIREMENTS[name])), str(CLIENTS / f"{name}.py")], clean_environment()


@dataclass(frozen=True)
class Far:
    """The gateway's process and where it listens."""

    child: Child
    ws: str
    file: str
    key: str
    model: str

    def arrived(self, seconds: float = 20.0) -> str:
        """The bot id of the next client that subscribes."""
        bot: str = self.child.ask(seconds, do="await")["bot"]
        return bot

    def ask(self, bot: str, text: str, chats: int = 1, rounds: int = 1) -> dict[str, Any]:
        return self.child.ask(do="ask", bot=bot, text=text, chats=chats, rounds=rounds)

    def usage(self) -> dict[str, float]:
        return self.child.ask(do="usage")


@contextmanager
def far_side(cores: set[int]) -> Iterator[Far]:
    with Child([sys.executable, str(HERE / "gateway.py")], cores) as child:
        yield Far(child, **child.hear())


def measure(runs: int, sizes: Sizes, names: tuple[str, ...], client_cores: set[int], far_cores: set[int]) -> Results:
    """Collects the figures of `runs` runs, each with new processes."""
    results, commands = Results(), {}
    for name in names:
        try:
            commands[name] = command_of(name)
        except Unavailable as reason:
            results.trouble(name, f"cannot be installed: {reason}")
    for number in range(runs):
        print(f"run {number + 1} of {runs}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            path = Path(folder) / "upload.bin"
            path.write_bytes(bytes(range(250)) * (UPLOAD_SIZE // 250))
            run = Run(results, sizes, stack.enter_context(far_side(far_cores)), path)
            for name, (command, environment) in commands.items():
                child = Child([*command, run.far.ws, name], client_cores, environment)
                run.clients[name] = stack.enter_context(child)
                run.take(name, run.subscribe)
            time.sleep(SETTLE)
            run.all()
    return results


class Run:
    """One run: its gateway, and the clients that have not failed in it."""

    def __init__(self, results: Results, sizes: Sizes, far: Far, path: Path) -> None:
        self.results, self.sizes, self.far, self._path = results, sizes, far, path
        self.clients: dict[str, Child] = {}
        self._first: dict[str, list[float]] = {}
        self._turn = 0

    def all(self) -> None:
        """Everything, the turns of a section before those of the next."""
        self.each(self.idle)
        for _ in range(self.sizes.turns):
            self.each(self.first_frames)
        self.each(self.latencies)
        for _ in range(self.sizes.turns):
            self.each(self.one_stream)
        for _ in range(self.sizes.turns):
            self.each(self.many_chats)
        self.each(lambda name: self.results.add(name, "peak_chats", self.clients[name].memory()[1]))
        if OURS in self.clients:
            self.take(OURS, self.paced)
        for _ in range(self.sizes.files):
            self.each(self.upload)
            self.each(self.download)
        self.each(lambda name: self.results.add(name, "peak_files", self.clients[name].memory()[1]))

    def each(self, section: Callable[[str], None]) -> None:
        """A turn for each client; another one begins each time."""
        names = list(self.clients)
        self._turn += 1
        for index in range(len(names)):
            self.take(names[(index + self._turn) % len(names)], section)

    def take(self, name: str, section: Callable[[str], None]) -> None:
        """One client's turn; who fails in it is left out for the rest of the run."""
        try:
            section(name)
        except Failed as failure:
            client = self.clients.pop(name)
            self.results.trouble(name, f"{section.__name__}: {failure}; {client.last_words()}")
            client.close()

    # --- the sections

    def subscribe(self, name: str) -> None:
        while self.far.arrived() != name:
            pass

    def idle(self, name: str) -> None:
        self.results.add(name, "idle", self.clients[name].memory()[0])

    def first_frames(self, name: str) -> None:
        self._first.setdefault(name, []).extend(self.far.ask(name, "1", rounds=self.sizes.rounds)["first"])

    def latencies(self, name: str) -> None:
        self.results.add(name, "first_p50", statistics.median(self._first[name]))
        self.results.add(name, "first_p99", statistics.quantiles(self._first[name], n=100, method="inclusive")[98])

    def one_stream(self, name: str) -> None:
        rate, cpu, _ = self._streams(name, 1, self.sizes.one_stream)
        self.results.add(name, "one_rate", rate)
        self.results.add(name, "one_cpu", cpu)

    def many_chats(self, name: str) -> None:
        rate, cpu, gateway = self._streams(name, self.sizes.chats, self.sizes.chat_frames)
        self.results.add(name, "chats_rate", rate)
        self.results.add(name, "chats_cpu", cpu)
        self.results.add(name, "gateway_cpu", gateway)

    def paced(self, name: str) -> None:
        """Ours alone: answers through the stream that keeps its own pace and leaves out what is overtaken."""
        client, updates = self.clients[name], self.sizes.chats * self.sizes.chat_frames
        cpu = client.cpu()
        answer = self.far.ask(name, f"paced {self.sizes.chat_frames}", self.sizes.chats)
        self.results.add(name, "paced_cpu", (client.cpu() - cpu) * 1e6 / updates)
        self.results.add(name, "paced_frames", answer["frames"] / updates * 100)

    def upload(self, name: str) -> None:
        self._file(name, "upload", path=str(self._path), size=UPLOAD_SIZE)

    def download(self, name: str) -> None:
        self._file(name, "download", url=self.far.file, key=self.far.key)

    # --- inside

    def _streams(self, name: str, chats: int, frames: int) -> tuple[float, float, float]:
        """(frames a second, the client's CPU ms per 1000 frames, the gateway's) of one answer in each chat."""
        client, expected = self.clients[name], chats * (frames + 1)
        cpu, far_cpu = client.cpu(), self.far.child.cpu()
        answer = self.far.ask(name, str(frames), chats)
        cpu, far_cpu = client.cpu() - cpu, self.far.child.cpu() - far_cpu
        if answer["frames"] != expected:
            raise Failed(f"{answer['frames']} frames came instead of {expected}")
        return expected / answer["seconds"], cpu * 1e6 / expected, far_cpu * 1e6 / expected

    def _file(self, name: str, way: str, **order: Any) -> None:
        try:
            done = self.clients[name].ask(do=way, **order)
        except Refused as refusal:
            self.results.trouble(name, f"{way}: {refusal}")
        else:
            self.results.add(name, way, done["size"] / done["seconds"] / 1e6)

"""What is measured of the line, what is to be reached, and the table that says so."""

import statistics
from dataclasses import dataclass, field

OURS = "agent.wecom"
PYTHON_SDKS = ("wecom-aibot-sdk-python", "wecom-aibot-sdk", "wecom-aibot-python-sdk")
NODE_SDK = "aibot-node-sdk"
NAMES = (OURS, *PYTHON_SDKS, NODE_SDK)


@dataclass(frozen=True)
class Measure:
    """A row of the table. `limit`: the ratio to reach against the best Python SDK. `more`: whether more is better."""

    key: str
    title: str
    limit: float | None = None
    more: bool = False


MEASURES = (
    Measure("first_p50", "callback to first frame, p50, ms", 1.1),
    Measure("first_p99", "callback to first frame, p99, ms", 1.1),
    Measure("one_rate", "one stream, frames/s", more=True),
    Measure("one_cpu", "one stream, CPU ms per 1000 frames"),
    Measure("chats_rate", "100 chats, frames/s", more=True),
    Measure("chats_cpu", "100 chats, CPU ms per 1000 frames", 0.8),
    Measure("gateway_cpu", "100 chats, the gateway's CPU ms per 1000 frames"),
    Measure("upload", "upload of 10 MB, MB/s", more=True),
    Measure("download", "download of 20 MB, MB/s", more=True),
    Measure("idle", "memory, idle, MB", 1.1),
    Measure("peak_chats", "memory, peak with 100 chats, MB", 1.1),
    Measure("peak_files", "memory, peak with files, MB", 1.1),
    Measure("paced_frames", "paced, 100 chats x 20 updates/s: frames per 100 updates"),
    Measure("paced_cpu", "paced, 100 chats x 20 updates/s: CPU ms per 1000 updates"),
)


@dataclass
class Results:
    """Figures of each client by measure, and what went wrong."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {name: {} for name in NAMES})
    troubles: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in NAMES})

    def add(self, name: str, key: str, value: float) -> None:
        self.figures[name].setdefault(key, []).append(value)

    def trouble(self, name: str, reason: str) -> None:
        if reason not in self.troubles[name]:
            self.troubles[name].append(reason)

    def median(self, name: str, key: str) -> float | None:
        values = self.figures[name].get(key)
        return statistics.median(values) if values else None

    def ratio(self, measure: Measure) -> float | None:
        """Ours against the best Python SDK; None when one of the two is missing."""
        ours = self.median(OURS, measure.key)
        theirs = [value for name in PYTHON_SDKS if (value := self.median(name, measure.key)) is not None]
        if ours is None or not theirs:
            return None
        best = max(theirs) if measure.more else min(theirs)
        return ours / best if best else None


def table(results: Results, names: tuple[str, ...], findings: dict[str, str]) -> str:
    """The comparison as Markdown, then what was missed with what the profile says, then what could not be had."""
    rows = [["", *names, "ratio", "to reach"], ["---", *["---:"] * (len(names) + 2)]]
    missed = []
    for one in MEASURES:
        ratio, verdict = results.ratio(one), ""
        if one.limit is not None:
            verdict = f"<= {one.limit:g}"
            if ratio is not None and ratio > one.limit:
                verdict += " MISSED"
                missed.append(f"- {one.title}: ratio {ratio:.2f}, to reach {one.limit:g}. {findings.get(one.key, '')}")
        cells = [_number(results.median(name, one.key)) for name in names]
        rows.append([one.title, *cells, "" if ratio is None else f"{ratio:.2f}", verdict])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "Ratio: agent.wecom against the best Python SDK in this run; below 1 is better, for rates above 1."]
    lines += ["", "Missed:" if missed else "Nothing that is to be reached was missed.", *missed]
    troubles = [f"- {name}: {reason}" for name in names for reason in results.troubles[name]]
    if troubles:
        lines += ["", "Not measured:", *troubles]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"

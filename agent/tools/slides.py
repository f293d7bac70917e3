"""The tool `create_slides`: titles, bullets, tables and charts in, a PPTX presentation out; and changes of one.

Knows the arguments. What goes onto which slide is `planning`'s, the file is `deck`'s.
"""

from collections.abc import Mapping
from typing import Any

from . import arguments as read
from .made import Made, ToolInputError, file_stem, finish
from .markdown import plain
from .planning import Slide, plan_slides, read_line
from .schema import Schema, a_list, a_text, an_object

NAME = "create_slides"
DESCRIPTION = (
    "Make a PowerPoint presentation (pptx) and send it to the user: a title slide, then slides with bullets, two "
    "columns, a table or a chart; a slide with nothing but a title opens a section. Keep bullets short, 3 to 6 a "
    "slide; what does not fit goes on on the next slide. To change a presentation made earlier in this chat, name it "
    "in based_on and send only what changes; the rest stays."
)
_TEXTS = a_list(a_text())
_NUMBER: Schema = {"type": "integer"}
_CHART = an_object(
    ["type", "labels", "series"],
    type=a_text(choices=["line", "bar", "horizontal", "stacked", "pie", "scatter"]),
    labels=_TEXTS,
    series=a_list(an_object(["name", "values"], name=a_text(), values=a_list({"type": "number"}))),
)
_SLIDE = an_object(
    [],
    title=a_text(),
    bullets=a_list(a_text(), "One string a bullet; two leading spaces a level deeper"),
    left=a_list(a_text(), "Two columns: bullets on the left"),
    right=a_list(a_text(), "Two columns: bullets on the right"),
    left_title=a_text(),
    right_title=a_text(),
    table=an_object(["columns", "rows"], columns=_TEXTS, rows=a_list(_TEXTS)),
    chart=_CHART,
    notes=a_text("What the speaker says"),
    change=_NUMBER
    | {"description": "Only with based_on: number of the slide to change; fields not sent stay, [] empties"},
    after=_NUMBER
    | {"description": "Only with based_on: a new slide goes behind the slide of this number, else to the end"},
)
PARAMETERS = an_object(
    ["filename", "title", "slides"],
    filename=a_text("File name in the user's language, e.g. 季度汇报.pptx"),
    title=a_text("Title of the first slide"),
    subtitle=a_text(),
    based_on=a_text("File name of an earlier presentation of this chat that is to be changed"),
    slides=a_list(_SLIDE, "Without the title slide. With based_on: only slides that change or are new"),
    remove_slides=a_list(_NUMBER, "Only with based_on: numbers of slides to remove"),
)

# The fields of a slide, and other names that models give them.
_FIELDS = {
    "title": ("title", "heading", "name"),
    "bullets": ("bullets", "content", "points", "items", "text", "body"),
    "notes": ("notes", "speaker_notes"),
} | {name: (name,) for name in ("left", "right", "left_title", "right_title", "table", "chart")}
# After splitting. A talk of more is a document.
SLIDE_LIMIT = 120


def build(arguments: Mapping[str, Any]) -> Made:
    """Makes the presentation. Arguments with `based_on` go through `revise` first.

    Raises:
        ToolInputError: no slides, too many of them, or a table or chart that cannot be shown.
    """
    from .deck import build_deck

    fields = _read(arguments)
    slides = [slide for planned in _plan(fields) for slide in planned]
    if len(slides) > SLIDE_LIMIT:
        raise ToolInputError(
            f"{len(slides)} slides come out and {SLIDE_LIMIT} are the most: send less, or make a document"
        )
    title = fields["title"]
    data = build_deck(title, fields["subtitle"], slides)
    titles = [title] * bool(title) + [slide.title for slide in slides]
    listed = "; ".join(f"{number} {heading[:40]}" for number, heading in enumerate(titles[:60], start=1))
    summary = f"PowerPoint presentation, {len(titles)} slides: {listed}."
    cells = (plain(cell) for slide in slides if slide.grid for row in slide.grid.rows for cell in row)
    if any(cell.endswith("…") for cell in cells):
        summary += " Cells of tables were cut: they are too long for a slide."
    return finish(file_stem(fields["filename"], title or "演示文稿"), "pptx", data, summary)


def revise(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that make the changed presentation: `old` made the earlier one, `new` holds only what changes.

    Slides are numbered as they stand in the earlier file, with the title slide and those that others went on on.

    Raises:
        ToolInputError: `new` changes a slide that is not there.
    """
    fields, new = _read(old), read.unwrap(new)
    # Which entry each slide of the file is from; None for the title slide.
    owners: list[int | None] = [None] * bool(fields["title"])
    for index, planned in enumerate(_plan(fields)):
        owners += [index] * len(planned)
    # Each entry with the new ones that go behind it; those at 0 go before all.
    rows: list[list[dict[str, Any]]] = [[], *([entry] for entry in fields["slides"]), []]
    for index, entry in enumerate(read.array(read.pick(new, "slides"), "slides")):
        where = f"slides[{index}]"
        given = _fields(entry, where)
        numbers = read.mapping(entry, where) if isinstance(entry, Mapping) else {}
        change, after = numbers.get("change"), numbers.get("after")
        if change is not None:
            place = _owner(change, owners, f"{where}.change")
            rows[place][0] |= given
        elif after is not None:
            rows[_owner(after, owners, f"{where}.after", 0)].append(given)
        else:
            rows[-1].append(given)
    removed = [
        _owner(number, owners, f"remove_slides[{index}]")
        for index, number in enumerate(read.array(read.pick(new, "remove_slides"), "remove_slides"))
    ]
    for place in set(removed):
        del rows[place][0]
    words = {name: read.text(new.get(name), name, "") or fields[name] for name in ("filename", "title", "subtitle")}
    return _read({**words, "slides": [entry for row in rows for entry in row]})


def _read(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Filename, title, subtitle and the fields of each slide."""
    arguments = read.unwrap(arguments)
    found = read.array(read.pick(arguments, "slides", "pages", "content"), "slides")
    title = read_line(read.pick(arguments, "title"), "title")
    slides = [_fields(entry, f"slides[{index}]") for index, entry in enumerate(found)]
    # Models like to send the title slide once more.
    while slides and slides[0].keys() == {"title"} and read_line(slides[0]["title"], "slides[0].title") == title:
        del slides[0]
    if not slides:
        raise ToolInputError("slides is empty; send at least one slide with title and bullets")
    return {
        "filename": read.text(read.pick(arguments, "filename", "file_name", "name"), "filename", ""),
        "title": title,
        "subtitle": read_line(read.pick(arguments, "subtitle", "author"), "subtitle"),
        "slides": slides,
    }


def _fields(entry: Any, where: str) -> dict[str, Any]:
    """The fields of a slide that were given; their values as they were sent."""
    if isinstance(entry, str) and not entry.lstrip().startswith("{"):
        entry = {"title": entry}
    given = read.mapping(entry, where)
    found = {name: read.pick(given, *names) for name, names in _FIELDS.items()}
    return {name: value for name, value in found.items() if value is not None}


def _plan(fields: Mapping[str, Any]) -> list[list[Slide]]:
    return [plan_slides(entry, f"slides[{index}]") for index, entry in enumerate(fields["slides"])]


def _owner(value: Any, owners: list[int | None], where: str, title: int | None = None) -> int:
    """Which row of entries the slide of this number is from; `title` for the title slide, when that may be named."""
    number = read.number(value)
    if number is None or number not in range(1, len(owners) + 1):
        raise ToolInputError(f"{where} is {str(value)[:40]!r}; the presentation has the slides 1 to {len(owners)}")
    owner = owners[int(number) - 1]
    if owner is None:
        if title is None:
            raise ToolInputError(f"{where} is the title slide: send title and subtitle to change it")
        return title
    return owner + 1

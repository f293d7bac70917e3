"""What is said of files: to the model in English, to people in the words of the deployment. Pure.

The model gets a file's name, measures and number (by which its tools find it); a person what was received, or why it
cannot be read.
"""

from agent.store.files import File

from .words import Words

# For the model: why it does not get to see a file.
_WHY = {
    "expired": "it could not be downloaded; ask for it to be sent again",
    "too_large": "it is larger than 100 MB",
    "undecryptable": "the download could not be decrypted; ask for it to be sent again",
    "disk": "the bot could not store it",
    "encrypted": "it is protected by a password; ask for a version without",
    "broken": "it is damaged or not what its name says",
    "bomb": "it unpacks into something enormous",
    "timeout": "it is too complex to be read in time",
    "unsupported": "its format cannot be read",
    "empty": "it is empty",
    "old_format": "it is in an old format; it has to be saved as docx or pptx first",
}

# Formats with one remedy.
_FAMILIES = dict.fromkeys(("ZIP", "RAR", "7Z", "GZIP"), "archive") | dict.fromkeys(
    ("MP3", "M4A", "AMR", "OGG", "WAV"), "audio"
)


def of(file: File) -> str:
    """The file in a line for the model, e.g. `[file 12: "报表.xlsx", 2 sheets, 12 KB]`."""
    made = "made by you" if file.origin == "made" else "received"
    version = f", version {file.version}" if file.version > 1 else ""
    if file.error is not None and file.origin == "received":
        return f'[{file.kind} "{file.name}": not readable, {_WHY.get(file.error, file.error)}]'
    summary = f": {file.facts['summary']}" if file.facts.get("summary") else ""
    return f'[{file.kind} {file.id}: "{file.name}"{version}, {made}, {measures(file, _ENGLISH)}{summary}]'


def measures(file: File, units: dict[str, str]) -> str:
    """Pages, sheets or pixels, and the size: `12 pages, 1.2 MB`."""
    facts = file.facts
    found = []
    if file.kind == "image" and facts.get("width"):
        found.append(f"{facts['width']}×{facts['height']}")
    for name in ("pages", "slides", "rows", "characters"):
        if isinstance(facts.get(name), int) and (name in ("pages", "slides") or not found):
            found.append(_counted(units[name], facts[name]))
    if sheets := facts.get("sheets"):
        found = [_counted(units["sheets"], len(sheets))]
    return units["and"].join([*found, size(file.size)])


def _counted(unit: str, number: int) -> str:
    """With a unit that may have a form for one: `{} page|{} pages`."""
    one, _, many = unit.partition("|")
    return (many if many and number != 1 else one).format(number)


def size(count: int) -> str:
    """Bytes for people: `820 B`, `12 KB`, `1.2 MB`."""
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1000:.0f} KB"
    return f"{count / 1_000_000:.1f} MB"


def acknowledgement(files: list[File], words: Words) -> str:
    """What a person reads who sent files alone: what each is or why it cannot be read, and that they may ask."""
    lines = [_for_person(file, words) for file in files]
    if any(file.error is None and not is_unseen(file) for file in files):
        lines.append(words.file_question)
    return "\n".join(lines)


def trouble(files: list[File], words: Words) -> list[str]:
    """What a person needs to know of files that belong to a question and cannot be read."""
    return [_for_person(file, words) for file in files if file.error is not None]


def is_unseen(file: File) -> bool:
    """Whether it is a video of which no pictures could be taken: more than its name and size nobody gets of it."""
    return file.kind == "video" and not file.facts.get("views")


def _for_person(file: File, words: Words) -> str:
    named = words.file_named.format(kind=words.kind(file.kind), name=file.name)
    if file.name == file.kind or file.kind == "image":
        named = words.kind(file.kind)
    if file.error is None:
        sentence = words.file_received.format(file=named, measures=measures(file, words.units))
        return f"{sentence}{words.video_unseen}" if is_unseen(file) else sentence
    why = words.unreadable.get(file.error, words.unreadable["broken"])
    format = str(file.facts.get("format") or _extension(file.name) or words.unknown_format)
    instead = words.instead.get(_FAMILIES.get(format, format), words.instead[""])
    return words.file_unreadable.format(file=named, why=why.format(format=format, instead=instead))


def _extension(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    return ending.upper() if stem and len(ending) <= 8 else ""


def scanned(file: File, shown: int) -> str:
    """For the model: which pages of a PDF are pictures of text, when it sees `shown` of them; empty without any."""
    pages = file.facts.get("scanned")
    if not isinstance(pages, list) or not pages:
        return ""
    seen = f"those of {_ranges(pages[:shown])} follow here; " if shown else ""
    return f"[scanned pages, without text: {_ranges(pages)}; {seen}read_file transcribes one at a time]"


def _ranges(pages: list[int]) -> str:
    """Ascending numbers in short: `1-4, 7`."""
    found: list[list[int]] = []
    for page in pages:
        if found and page == found[-1][1] + 1:
            found[-1][1] = page
        else:
            found.append([page, page])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


_ENGLISH = {
    "pages": "{} page|{} pages",
    "slides": "{} slide|{} slides",
    "sheets": "{} sheet|{} sheets",
    "rows": "{} row|{} rows",
    "characters": "{} character|{} characters",
    "and": ", ",
}

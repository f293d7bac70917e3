"""Files are made for real in each test; most readers are called in this process, and through their child once."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.files import reader as module
from agent.files.extract import Extract, Limits
from agent.files.kinds import Sort
from agent.files.manuscript import Manuscript
from agent.files.reader import Reader

_GIVE_UP = (
    "import ctypes, os; close = child.fence.close_off; "
    "child.fence.close_off = lambda: (os.setresgid(*[65534] * 3), os.setresuid(*[65534] * 3), close())"
)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some limits mean nothing to root: children of a root give that up before the fence closes."""
    if os.name == "posix" and os.geteuid() == 0:
        monkeypatch.setattr(module, "_START", module._START.replace("child.main(", f"{_GIVE_UP}; child.main("))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """Writes a file and returns its path."""

    def written(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


def here(module: Any, content: bytes, sort: Sort, limits: Limits | None = None) -> Extract:
    """What a reader makes of the content, in this process."""
    limits = limits or Limits()
    extract: Extract = module.read(io.BytesIO(content), sort, limits, Manuscript(limits.characters))
    return extract


def saved(document: Any) -> bytes:
    """The bytes of a document of python-docx, openpyxl or python-pptx."""
    data = io.BytesIO()
    document.save(data)
    return data.getvalue()


def repacked(document: bytes, **changes: Callable[[bytes], bytes]) -> bytes:
    """An office file with some of its parts changed; the change of `document.xml` is given as `document_xml`."""
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(document)) as old, zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part, change = old.read(name), changes.get(Path(name).name.replace(".", "_"))
            new.writestr(name, change(part) if change else part)
    return data.getvalue()

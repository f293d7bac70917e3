import hashlib
import os
from pathlib import Path

import pytest

from agent.store.blobs import Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    found = Blobs(tmp_path)
    found.prepare()
    return found


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_same_bytes_are_stored_once_and_for_the_bot_alone(blobs: Blobs, tmp_path: Path) -> None:
    part = blobs.incoming / "x"
    part.write_bytes(b"hello")
    part.chmod(0o644)
    sha256 = blobs.adopt(part)
    assert sha256 == hashlib.sha256(b"hello").hexdigest() == blobs.put(b"hello")
    path = blobs.path(sha256)
    assert path == tmp_path / Blobs.relative(sha256)
    assert path.read_bytes() == b"hello"
    assert not list(blobs.incoming.iterdir())
    assert mode(path) == 0o600
    assert {mode(each) for each in (tmp_path / "files", blobs.incoming, path.parent)} == {0o700}


def test_what_is_derived_lies_beside_it(blobs: Blobs) -> None:
    sha256 = blobs.put(b"hello")
    assert blobs.derived(sha256, ".json") is None
    blobs.derive(sha256, ".json", b"1")
    blobs.derive(sha256, ".json", b"2")
    assert blobs.derived(sha256, ".json") == b"2"
    assert blobs.path(sha256, ".json").parent == blobs.path(sha256).parent


def test_a_start_removes_what_a_crash_left(blobs: Blobs) -> None:
    (blobs.incoming / "half.part").write_bytes(b"x")
    os.link(blobs.incoming / "half.part", blobs.incoming / "name.pdf")
    blobs.prepare()
    assert not list(blobs.incoming.iterdir())


def test_only_a_hash_becomes_a_path() -> None:
    with pytest.raises(ValueError, match="no SHA-256"):
        Blobs.relative("../../etc/passwd")

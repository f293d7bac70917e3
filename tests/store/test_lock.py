import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.store import lock
from tests.store.conftest import START

HOLD = (
    "import sys, time; from pathlib import Path; from agent.store import lock\n"
    "with lock.hold(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


def another(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_nobody_holds_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert lock.holder(tmp_path / "data") is None
    assert not (tmp_path / "data").exists()


def test_a_held_folder_names_its_holder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with lock.hold(data, START):
        assert lock.holder(data) == lock.Holder(os.getpid(), START)
        assert stat.S_IMODE((data / "lock").stat().st_mode) == 0o600
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert lock.holder(data) is None


def test_a_second_bot_is_refused_with_pid_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    with another(tmp_path) as child:
        with pytest.raises(lock.DataLocked) as caught, lock.hold(tmp_path):
            pytest.fail("held twice")
        assert caught.value.holder.pid == child.pid
        assert f"is in use by process {child.pid}, running since 20" in str(caught.value)
        assert str(caught.value).endswith("stop that one, or set AGENT_DATA_DIR to another folder")
        assert lock.holder(tmp_path) == caught.value.holder
        child.communicate("")
    assert lock.holder(tmp_path) is None


def test_a_killed_bot_holds_nothing(tmp_path: Path) -> None:
    with another(tmp_path) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
        assert (tmp_path / "lock").read_text()
        assert lock.holder(tmp_path) is None
        with lock.hold(tmp_path, START):
            found = lock.holder(tmp_path)
            assert found is not None
            assert found.pid == os.getpid()


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock.hold(tmp_path):
        _ = 1 / 0
    assert lock.holder(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_lock_without_readable_content_is_still_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    with lock.hold(tmp_path):
        (tmp_path / "lock").write_text(content)
        assert lock.holder(tmp_path) == lock.Holder(None, None)
        with pytest.raises(lock.DataLocked, match="in use by another process as another"), lock.hold(tmp_path):
            pass


def test_looking_does_not_keep_a_bot_from_starting(tmp_path: Path) -> None:
    with lock.hold(tmp_path):
        pass
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            lock.holder(tmp_path)

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(5):
            with lock.hold(tmp_path):
                pass
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    with lock.hold(tmp_path):
        child = subprocess.Popen(["sleep", "60"])
    try:
        assert lock.holder(tmp_path) is None
    finally:
        child.kill()
        child.wait()

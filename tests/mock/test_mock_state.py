"""The mock's temporary directory: removed at the end, and by the next mock where its owner had no time to."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from exconnect.mock.state import StateDir

OWNER = "from exconnect.mock.state import StateDir; import sys; print(StateDir().path, flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def owner():
    """Another process that owns a directory; and that directory."""
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_what_a_killed_mock_left_is_swept_by_the_next(owner):
    process, left = owner
    (left / "some.journal").write_text("x")
    process.send_signal(signal.SIGKILL)
    process.wait()
    mine = StateDir()
    assert not left.exists()
    mine.remove()


def test_what_is_in_use_stays(owner):
    _, others = owner
    one, two = StateDir(), StateDir()
    assert others.is_dir()
    assert one.path.is_dir()
    assert two.path.is_dir()
    one.remove()
    two.remove()
    assert not one.path.exists()


def test_what_others_put_there_stays(folder):
    strange = [folder / "exconnect-mock-notes", folder / "exconnect-mock-linked"]
    strange[0].mkdir()
    strange[1].mkdir()
    (strange[1] / ".alive").symlink_to(folder)
    file = folder / "exconnect-mock-file"
    file.write_text("")
    StateDir().remove()
    assert file.exists()
    assert all(each.is_dir() for each in strange)
    assert sorted(each.name for each in folder.iterdir()) == [
        "exconnect-mock-file",
        "exconnect-mock-linked",
        "exconnect-mock-notes",
    ]

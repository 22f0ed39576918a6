"""The cache: made once, never half written, damage noticed, and no place needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.cache import Entries, content_key
from evaluation.whole_files import write_atomically


class DamageError(ValueError):
    pass


def write(text: str, path: Path) -> None:
    write_atomically(path, f"{text}.".encode())


def read(path: Path) -> str:
    text = path.read_text()
    if not text.endswith("."):
        raise DamageError(f"{path} is cut short")
    return text.removesuffix(".")


def entries(kind: str = "texts") -> Entries[str]:
    return Entries(kind=kind, suffix=".txt", write=write, read=read, damage=DamageError)


def never() -> str:
    raise AssertionError("was made anew")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "texts").iterdir() if path.suffix != ".lock")


def test_entry_is_made_once_and_then_read(cache: Path) -> None:
    assert entries().get("one", lambda: "made") == "made"
    assert entries().get("one", never) == "made"
    assert entries().get("two", lambda: "other") == "other"
    assert files(cache) == ["one.txt", "two.txt"]


def test_key_depends_on_every_part_and_on_their_order() -> None:
    keys = {content_key(*parts) for parts in ((1, "2"), ("1", 2), ("2", 1), (12,), ("12", None))}
    assert len(keys) == 5
    assert content_key(1, "2") == content_key(1, "2")


@pytest.mark.parametrize("content", [b"", b"made"])
def test_damaged_entry_is_made_anew_with_a_warning_that_names_it(
    cache: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    entries().get("one", lambda: "made")
    path = cache / "texts" / "one.txt"
    path.write_bytes(content)
    assert entries().get("one", lambda: "made again") == "made again"
    assert entries().get("one", never) == "made again"
    (message,) = {record.getMessage() for record in caplog.records}
    assert message.startswith(f"{path} is damaged and will be made anew")


@pytest.mark.parametrize("place", ["file", "below a file"])
def test_without_a_place_everything_is_made_with_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
) -> None:
    folder = tmp_path / "file" if place == "file" else tmp_path / "file" / "cache"
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TG_SWEEP_CACHE", str(folder))
    made: list[str] = []

    def make() -> str:
        made.append("text")
        return "text"

    for kind in ("texts", "texts", "others"):
        assert entries(kind).get("one", make) == "text"
    assert len(made) == 3
    (record,) = caplog.records
    assert f"the cache folder {folder} can't be used (Not a directory)" in record.getMessage()
    assert "set TG_SWEEP_CACHE to a folder that can be written" in record.getMessage()


def test_entry_that_can_not_be_written_is_still_given(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cache / "texts").mkdir(parents=True)
    (cache / "texts" / "one.lock").mkdir()  # neither the lock nor the entry has a place
    (cache / "texts" / "one.txt").mkdir()
    assert entries().get("one", lambda: "made") == "made"
    assert len(caplog.records) == 1


def test_error_of_the_maker_is_its_own_and_leaves_nothing(cache: Path) -> None:
    def fail() -> str:
        raise FileNotFoundError("weights")

    with pytest.raises(FileNotFoundError, match="weights"):
        entries().get("one", fail)
    assert files(cache) == []
    assert entries().get("one", lambda: "made") == "made"


PROGRAM = """
import os, sys, time
from pathlib import Path
from evaluation.cache import Entries
from evaluation.whole_files import write_atomically


def write(text, path):
    write_atomically(path, f"{text}.".encode())


def read(path):
    return path.read_text().removesuffix(".")


def make():
    print("making", flush=True)
    if sys.argv[1] == "killed while making":
        time.sleep(600)
    time.sleep(0.5)
    return f"made by {os.getpid()}"


def stop(_):
    print("writing", flush=True)
    time.sleep(600)


if sys.argv[1] == "killed while writing":
    os.fsync = stop
texts = Entries(kind="texts", suffix=".txt", write=write, read=read, damage=ValueError)
print("ready", flush=True)
sys.stdin.readline()
print(texts.get("one", make), flush=True)
"""


@pytest.fixture
def start(cache: Path) -> Callable[[str], subprocess.Popen[str]]:
    def popen(role: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    return popen


@pytest.mark.slow
def test_of_processes_that_want_the_same_entry_at_once_one_makes_it(
    start: Callable[[str], subprocess.Popen[str]], cache: Path
) -> None:
    both = [start("make") for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [stderr for _, stderr in outputs] == ["", ""]
    lines = [stdout.splitlines() for stdout, _ in outputs]
    assert lines[0][-1] == lines[1][-1]
    assert sorted(len(of_one) for of_one in lines) == [1, 2]
    assert files(cache) == ["one.txt"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["making", "writing"])
def test_killed_process_leaves_nothing_that_counts_and_nobody_waiting(
    start: Callable[[str], subprocess.Popen[str]], cache: Path, stage: str
) -> None:
    process = start(f"killed while {stage}")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    while process.stdout.readline() != f"{stage}\n":
        pass
    assert len(files(cache)) == (stage == "writing")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert entries().get("one", lambda: "made after all") == "made after all"
    assert files(cache) == ["one.txt"]


@pytest.mark.slow
def test_warning_goes_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "make"],
        input="go\n",
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "TG_SWEEP_CACHE": str(tmp_path / "file"),
        },
    )
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "can't be used" in done.stderr

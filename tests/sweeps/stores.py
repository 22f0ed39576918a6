"""Sweeps in an object store, played through on one machine, and what tests ask of them."""

import threading
import time

from sweeps.claim import AtWork
from sweeps.snapshots import Snapshots
from sweeps.store import Store, StoreError
from sweeps.stored_run import StoredRun


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        partial.write_text(text)
        partial.replace(path)


def made(folder):
    write(folder, sweep_dot_yaml="spec", trials__0000__record_dot_json="one")
    return folder


def held(folder):
    """What a folder of this machine holds, but what is hidden."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def held_there(uri, tmp_path):
    """What the newest snapshot holds."""
    snapshots = Snapshots(Store(uri))
    snapshot = snapshots.read(snapshots.newest_name())
    to = tmp_path / f"seen-{time.monotonic_ns()}"
    snapshots.get(snapshot, snapshot.files, to)
    return held(to)


def start(uri, console, **files):
    """Begin a sweep, change some files, and end."""
    with StoredRun(uri).begun(console) as folder:
        made(folder)
        write(folder, **files)
    return folder


def go_on(uri, console, **files):
    with StoredRun(uri).gone_on(console, by_path=False) as folder:
        write(folder, **files)
    return folder


def counted(monkeypatch, name):
    """Names that a method of Store was called with."""
    called = []
    method = getattr(Store, name)

    def count(store, of, *rest):
        called.append(of)
        return method(store, of, *rest)

    monkeypatch.setattr(Store, name, count)
    return called


def copier_at_work():
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "copying"]
    return thread._target.__self__


def silent(monkeypatch):
    """Let processes that claim from now on be cut off from the store: they are not heard of."""
    monkeypatch.setattr(AtWork, "_beat", lambda self: None)


def raising(text):
    def refuse(*_):
        raise StoreError(text)

    return refuse


def wait_until(is_so, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)

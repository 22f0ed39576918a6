import struct
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads

from tensorboardX.proto import event_pb2

from reports.records import TrialState
from reports.run_folder import RunFolder
from sweeps import live_metrics
from sweeps.live_metrics import EventFiles, Gauges, Outlets
from sweeps.trial import TrialReport

REPORTS = (
    TrialReport(kimg=0, state=TrialState.RUNNING),
    TrialReport(
        kimg=1.5, state=TrialState.RUNNING, images_per_second=80.0, d_loss=0.75, g_loss=1.25
    ),
    TrialReport(kimg=3, state=TrialState.COMPLETED, rung=0, value=2.5),
)


def events(folder: Path):
    """(step, name, value) of all scalars in a folder's event files."""
    (file,) = folder.iterdir()
    content, place = file.read_bytes(), 0
    while place < len(content):  # length, its checksum, the event, its checksum
        (size,) = struct.unpack_from("<Q", content, place)
        event = event_pb2.Event.FromString(content[place + 12 : place + 12 + size])
        place += 12 + size + 4
        for value in event.summary.value:
            yield event.step, value.tag, value.simple_value


def test_event_files_hold_what_was_reported_by_real_images(tmp_path):
    files = EventFiles(tmp_path / "0000")
    for report in REPORTS:
        files.note(report)
    files.close()
    assert set(events(tmp_path / "0000")) == {
        (0, "kimg", 0.0),
        (1500, "kimg", 1.5),
        (1500, "images_per_second", 80.0),
        (1500, "d_loss", 0.75),
        (1500, "g_loss", 1.25),
        (3000, "kimg", 3.0),
        (3000, "score", 2.5),
    }


def test_gauges_are_by_sweep_and_trial(tmp_path, task, monkeypatch):
    shown = {}

    class Recorded:
        def __init__(self, name, text, tags):
            self.name, self.tags = name, tags

        def set(self, value, tags):
            assert tuple(tags) == self.tags
            shown[self.name, *tags.values()] = value

    monkeypatch.setattr(live_metrics, "gauge", Recorded)
    (gauges,) = Outlets(tensorboard=False).open(RunFolder(tmp_path / "mine"), task)
    assert isinstance(gauges, Gauges)
    for report in REPORTS:
        gauges.note(report)
    assert shown["tg_sweep_kimg", "mine", task.trial] == 3
    assert shown["tg_sweep_score", "mine", task.trial] == 2.5
    assert shown["tg_sweep_d_loss", "mine", task.trial] == 0.75
    gauges.close()
    with_files = Outlets(tensorboard=True).open(RunFolder(tmp_path / "mine"), task)
    assert [type(outlet) for outlet in with_files] == [Gauges, EventFiles]
    for outlet in with_files:
        outlet.close()


def test_gauges_are_set_anew_until_they_are_closed(monkeypatch):
    renewed, known = Event(), []

    class Forgetful:
        def __init__(self, name, text, tags):
            self.name = name

        def set(self, value, tags):
            known.append((self.name, value))
            if known.count(("tg_sweep_score", 2.5)) >= 3:
                renewed.set()

    monkeypatch.setattr(live_metrics, "gauge", Forgetful)
    monkeypatch.setattr(live_metrics, "RENEWAL_SECONDS", 0.01)
    gauges = Gauges("mine", "0000")
    for report in REPORTS:
        gauges.note(report)
    known.clear()
    renewed.clear()
    assert renewed.wait(60)
    gauges.close()
    assert not any(thread.name == "gauges" for thread in enumerate_threads())
    assert {("tg_sweep_kimg", 3), ("tg_sweep_d_loss", 0.75)} <= set(known)

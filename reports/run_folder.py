"""The folders of a sweep and of a trial: their files by name, their records read and written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from evaluation.whole_files import write_atomically
from reports.records import SweepRecord, TrialRecord, VersionedRecord
from reports.stats import read_stats
from reports.warm_start import WarmStart

SPEC_WAY_OUT = (
    "the file is damaged or was changed: put it back (report.html shows it as resolved), or start "
    "the sweep anew in another folder"
)


class RecordError(ValueError):
    """A file of a run folder is missing, damaged, or of a version this program does not read."""


M = TypeVar("M", bound=VersionedRecord)


class RunFolder:
    """The files of one sweep, by name; reading and writing of the records among them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "sweep.yaml"
        self.sweep = path / "sweep.json"
        self.trials = path / "trials"
        self.evaluation = path / "evaluation"
        self.study = path / "study.journal"
        self.reals = path / "reals.png"
        self.nearest_reals = path / "nearest_reals.png"
        self.infeasible = path / "infeasible.jsonl"
        self.judgements = path / "judgements.jsonl"
        self.warm_start = path / "warm_start.json"
        self.results = path / "results.csv"
        self.curves = path / "curves.csv"
        self.report = path / "report.html"
        self.log = path / "driver.log"

    def trial(self, trial: str) -> TrialFolder:
        """The folder of the trial called `trial`."""
        return TrialFolder(self.trials / trial)

    def read_sweep(self) -> SweepRecord:
        """The sweep's own record.

        Raises:
            RecordError: the folder holds no sweep, or its record can't be read.
        """
        return _read_model(
            SweepRecord,
            self.sweep,
            absent="not a sweep's run folder (no sweep.json)",
            way_out="the record is damaged; remove it, and `tg-sweep resume` writes it anew",
        )

    def write_sweep(self, record: SweepRecord) -> None:
        """Replace the sweep's record atomically."""
        write_atomically(self.sweep, record.model_dump_json(indent=1).encode())

    def read_warm_start(self) -> WarmStart:
        """What the sweep took over from an earlier one.

        Raises:
            RecordError: it is missing or damaged.
        """
        return _read_model(
            WarmStart,
            self.warm_start,
            absent="it was started with sampler.warm_start, but what it took over is not there "
            f"({self.warm_start.name}); put the file back",
            way_out="put the file back, or start the sweep anew in another folder",
        )

    def read_spec(self) -> dict[str, Any]:
        """The resolved spec, as plain data.

        Raises:
            RecordError: it is missing or damaged.
        """
        try:
            values = yaml.safe_load(self.spec.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = str(error).splitlines()[0]
            raise RecordError(f"{self.spec}: can't be read ({reason}); {SPEC_WAY_OUT}") from None
        if not isinstance(values, dict):
            raise RecordError(f"{self.spec}: holds no spec; {SPEC_WAY_OUT}")
        return values

    def read_trials(self) -> list[TrialRecord]:
        """The records of all trials of the search that have been started, by number.

        Raises:
            RecordError: a record can't be read.
        """
        records = [record for record in self._read_records() if record.finalist is None]
        return sorted(records, key=lambda record: record.number)

    def read_finalists(self) -> list[TrialRecord]:
        """The records of all finalist runs that have been started, by name.

        Raises:
            RecordError: a record can't be read.
        """
        return [record for record in self._read_records() if record.finalist is not None]

    def _read_records(self) -> list[TrialRecord]:
        found = sorted(self.trials.glob("*/record.json")) if self.trials.is_dir() else []
        return [TrialFolder(path.parent).read() for path in found]


class TrialFolder:
    """The files of one trial, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # Properties, because a report makes tens of thousands of these and asks each for a file or two.

    @property
    def record(self) -> Path:
        """What is known of the trial."""
        return self.path / "record.json"

    @property
    def stats(self) -> Path:
        """A line a tick."""
        return self.path / "stats.jsonl"

    @property
    def checkpoint(self) -> Path:
        """What training goes on from."""
        return self.path / "checkpoint.safetensors"

    @property
    def snapshot(self) -> Path:
        """The EMA generator."""
        return self.path / "snapshot.safetensors"

    @property
    def error(self) -> Path:
        """The traceback of what ended it."""
        return self.path / "error.txt"

    @property
    def lock(self) -> Path:
        """Held by the process that trains it."""
        return self.path / ".lock"

    def fakes(self, kimg: float) -> Path:
        """The sample grid after `kimg`."""
        return self.path / f"fakes{_kimg_in_name(kimg)}.png"

    def interpolation(self, kimg: float) -> Path:
        """Images on the way from latent to latent after `kimg`."""
        return self.path / f"interpolation{_kimg_in_name(kimg)}.png"

    def nearest(self, kimg: float) -> Path:
        """Samples after `kimg` above their nearest training images; a record lies beside it."""
        return self.path / f"nearest{_kimg_in_name(kimg)}.png"

    def read(self) -> TrialRecord:
        """The trial's record.

        Raises:
            RecordError: there is none, or it can't be read.
        """
        return _read_model(
            TrialRecord,
            self.record,
            absent="no record of a trial there",
            way_out=f"the record is damaged; remove the folder {self.path.name}, and "
            "`tg-sweep resume` trains this trial anew",
        )

    def write(self, record: TrialRecord) -> None:
        """Replace the trial's record atomically."""
        write_atomically(self.record, record.model_dump_json(indent=1).encode())

    def read_stats(self) -> Iterator[dict[str, Any]]:
        """The lines of `stats.jsonl`, as `reports.stats` reads them."""
        yield from read_stats(self.stats).entries


def _kimg_in_name(kimg: float) -> str:
    """`000108`, or `000000.250` where a whole number would be that of two rungs."""
    return f"{kimg:06.0f}" if kimg == round(kimg) else f"{kimg:010.3f}"


def _read_model(model: type[M], path: Path, *, absent: str, way_out: str) -> M:
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise RecordError(f"{path.parent}: {absent}") from None
    except OSError as error:
        raise RecordError(f"{path}: can't be read ({error.strerror}); {way_out}") from None
    except ValidationError as error:
        # A record of another version has other fields, too: the version is what to say first.
        first = min(error.errors(), key=lambda found: found["loc"] != ("version",))
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        if place == "version":
            way_out = "read it with the tg-sweep that wrote it"
        fault = str(first["msg"]).removeprefix("Value error, ")
        raise RecordError(f"{path}: {place}: {fault}; {way_out}") from None

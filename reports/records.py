"""What a sweep writes about itself: the run folder's file names and the records kept in it.

These records are the truth about a sweep. They are written by `sweeps`, and read, without torch or
Ray, by everything that shows or compares results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evaluation.protocol import ProtocolRecord

RECORD_VERSION = 1

Scalar = bool | int | float | str | None
Setting = Scalar | tuple[Scalar, ...]
"""A searched value, as it stands in the config: a scalar, or a list such as depths."""


SPEC_WAY_OUT = (
    "the file is damaged or was changed: put it back (report.html shows it as resolved), or start "
    "the sweep anew in another folder"
)


class RecordError(ValueError):
    """A file of a run folder is missing, damaged, or of a version this program does not read."""


class FrozenModel(BaseModel):
    """A record: immutable, and strict about unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="constants"
    )


class VersionedRecord(FrozenModel):
    """A record that is a file of its own, and says in which version's terms it was written."""

    version: int = RECORD_VERSION

    @field_validator("version")
    @classmethod
    def _check_version(cls, version: int) -> int:
        if version != RECORD_VERSION:
            raise ValueError(f"written as version {version}, this program reads {RECORD_VERSION}")
        return version


M = TypeVar("M", bound=VersionedRecord)


class TrialState(StrEnum):
    """Where a trial stands; every state but the first two is an end."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    STOPPED_EARLY = "stopped_early"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether a trial in this state will not be trained further."""
        return self not in (TrialState.RUNNING, TrialState.INTERRUPTED)

    @property
    def is_failure(self) -> bool:
        """Whether the trial ended without a usable result."""
        return self in (TrialState.DIVERGED, TrialState.OUT_OF_MEMORY, TrialState.FAILED)


class Measurement(FrozenModel):
    """One metric of one set of generated images."""

    name: str
    """Recorded name, extractor included: `fd_digits_classifier`."""
    value: float
    standard_error: float | None = None
    """Standard error of `value` from having only `num_images` images; None where no honest one is
    known."""
    low: float | None = None
    """Lower end of the 95 % interval, which may leave a biased `value` out; None where no honest
    one is known, and in records made before there were any."""
    high: float | None = None
    """Upper end of the same interval."""
    floor: float | None = None
    """What having only `num_images` images adds to `value` on average; None where unknown."""
    num_images: int
    """Number of generated images behind the value."""

    @property
    def floor_corrected(self) -> float | None:
        """The value less its floor; None where the floor is unknown."""
        return None if self.floor is None else self.value - self.floor


class RungScores(FrozenModel):
    """The scores of a trial's EMA generator after `kimg` of training."""

    kimg: float
    measurements: tuple[Measurement, ...]
    fakes_path: str
    """Sample grid (fixed latents), relative to the trial's folder."""
    protocol_sha256: str | None = None
    """Hash of how the scores were taken, which the sweep's record has in full; None in records of
    versions that did not keep it."""

    def measurement(self, name: str) -> Measurement | None:
        """The measurement called `name`, or None where it was not taken."""
        return next((m for m in self.measurements if m.name == name), None)


class TrialFinding(FrozenModel):
    """Something that was wrong with a trial's training; its images may be bad for it."""

    name: str
    """Its kind: `mode-collapse`."""
    kimg: float
    """Thousand real images after which it was first found."""
    message: str
    """What was measured, and what may help, in one line."""


class TrialCost(FrozenModel):
    """What a trial has used so far, over all its attempts."""

    train_seconds: float = 0.0
    score_seconds: float = 0.0
    generator_parameters: int = 0
    discriminator_parameters: int = 0
    peak_memory_mb: float | None = None
    """Peak resident (CPU) or allocated (CUDA) memory, in MiB; None where the system doesn't say."""


class TrialRecord(VersionedRecord):
    """Everything a table or a report says about one trial (`trials/<trial>/record.json`)."""

    trial: str
    """Name, and folder below `trials/`: the trial's number with leading zeros."""
    number: int
    state: TrialState
    cause: str | None = None
    """Why it failed, in one line; None unless the state is a failure."""
    kimg: float = 0.0
    """Thousand real images shown to the discriminator so far."""
    total_kimg: float
    settings: dict[str, Setting]
    """The searched values by search path, as validated: `generator.depths: [2, 2]`."""
    config: dict[str, Any]
    """The complete validated training config the trial ran with."""
    seed: int
    scores: tuple[RungScores, ...] = ()
    """One entry a rung, in order of kimg."""
    findings: tuple[TrialFinding, ...] = ()
    """What was wrong with the training, each kind once, in the order in which it was found."""
    cost: TrialCost = Field(default_factory=TrialCost)
    started_at: str | None = None
    """Start of the first attempt, ISO 8601 with offset."""
    ended_at: str | None = None
    attempts: int = 1
    """Times the trial was started: more than one after a resume."""
    checkpoint_path: str | None = None
    """Newest resumable checkpoint, relative to the trial's folder."""
    snapshot_path: str | None = None
    """Newest EMA generator, relative to the trial's folder."""


class SettingDomain(FrozenModel):
    """One searched path: its kind (`choice`, `loguniform`, …) and its values or bounds."""

    path: str
    kind: str
    values: tuple[Setting, ...]
    when: dict[str, tuple[Setting, ...]] = {}
    """Values of other settings with which trials have this one; empty where all have it."""


class MetricColumn(FrozenModel):
    """How one metric is named, read and printed."""

    name: str
    label: str
    """As printed, with the number of images: `FD digits_classifier@1000`."""
    goal: str
    """`minimize` or `maximize`."""
    format: str
    """Format specification for the value, such as `.3f`."""
    floor: float | None = None
    """The same metric of real images against the reference: as good as it gets at this N."""
    ceiling: float | None = None
    """The same metric of uniform noise against the reference."""
    floor_num_images: int | None = None
    note: str = ""
    """What the metric is and whence, in one sentence."""


class Forecast(FrozenModel):
    """What the plan promised before the first trial started."""

    seconds: float
    low_seconds: float
    high_seconds: float
    seconds_per_kimg: float
    expected_kimg: float


class Segment(FrozenModel):
    """One stretch of work on the sweep, from a start or resume to its end."""

    started_at: str
    ended_at: str | None = None
    command: str
    """The command that started it, as it can be typed again."""
    outcome: str = "running"
    """`running`, `finished`, `interrupted`, or `killed`, as the next one finds it."""
    seconds: float = 0.0


class SweepRecord(VersionedRecord):
    """What is known of the sweep as a whole (`sweep.json`)."""

    name: str
    data: str
    """Data set and size in words: `digits (1,197 training images, 600 held out, 8×8×1)`."""
    objective: str
    """Name of the metric that ranks."""
    metrics: tuple[MetricColumn, ...]
    """Every metric taken, the objective first."""
    space: tuple[SettingDomain, ...]
    num_trials: int
    total_kimg: float
    rungs_kimg: tuple[float, ...]
    """The kimg at which trials are scored."""
    sampler: str
    early_stopping: str
    seed: int
    extractor: str
    """Name and first digits of the hash of the feature extractor's weights."""
    extractor_note: str
    """What the extractor is, how it was trained, how accurate it is."""
    num_reference: int
    scoring: ProtocolRecord | None = None
    """How every trial's images were scored; None in records of versions that did not keep it."""
    resources: str
    """What the sweep ran on: `2 CPU, 2 trials at once, 1 thread each`."""
    versions: dict[str, str]
    forecast: Forecast | None = None
    segments: tuple[Segment, ...] = ()

    @model_validator(mode="after")
    def _objective_is_a_metric(self) -> Self:
        names = [column.name for column in self.metrics]
        if self.objective not in names:
            raise ValueError(f"objective {self.objective} is none of its metrics {names}")
        return self

    def metric(self, name: str) -> MetricColumn:
        """The column of the metric called `name`.

        Raises:
            KeyError: no such metric was taken in this sweep.
        """
        for column in self.metrics:
            if column.name == name:
                return column
        raise KeyError(name)


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
        self.infeasible = path / "infeasible.jsonl"
        self.results = path / "results.csv"
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
        write_atomically(self.sweep, record.model_dump_json(indent=1))

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
        """The records of all trials that have been started, by number.

        Raises:
            RecordError: a record can't be read.
        """
        found = sorted(self.trials.glob("*/record.json")) if self.trials.is_dir() else []
        records = [TrialFolder(path.parent).read() for path in found]
        return sorted(records, key=lambda record: record.number)


class TrialFolder:
    """The files of one trial, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / "record.json"
        self.stats = path / "stats.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.snapshot = path / "snapshot.safetensors"

    def fakes(self, kimg: float) -> Path:
        """The sample grid after `kimg`."""
        return self.path / f"fakes{round(kimg):06d}.png"

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
        write_atomically(self.record, record.model_dump_json(indent=1))

    def read_stats(self) -> Iterator[dict[str, Any]]:
        """The lines of `stats.jsonl`, oldest first; a half-written last line is left out.

        Each has numbers by name, `kimg` among them, and, where something was wrong, the list of its
        names as `findings`.

        After a resume, training past the checkpoint was done twice: the later attempt counts, so
        the lines are handed out with kimg strictly rising.
        """
        if not self.stats.exists():
            return
        entries: list[dict[str, Any]] = []
        for line in self.stats.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if not isinstance(entry, dict) or not isinstance(entry.get("kimg"), int | float):
                continue
            # A line that goes back in kimg starts a new attempt, from a checkpoint before it.
            while entries and entries[-1]["kimg"] >= entry["kimg"]:
                entries.pop()
            entries.append(entry)
        yield from entries


def write_atomically(path: Path, text: str) -> None:
    """Write `text` so that `path` holds the old content or all of the new, also after a crash."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        if partial.exists():
            partial.unlink()


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

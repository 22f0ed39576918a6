"""What a sweep writes about itself: the records of its trials and of the sweep as a whole.

These records are the truth about a sweep. They are written by `sweeps`, and read, without torch or
Ray, by everything that shows or compares results.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaluation.protocol import ProtocolRecord

RECORD_VERSION = 1

Scalar = bool | int | float | str | None
Setting = Scalar | tuple[Scalar, ...]
"""A searched value, as it stands in the config: a scalar, or a list such as depths."""


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


class TrialState(StrEnum):
    """Where a trial stands; every state but the first two is an end."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    STOPPED_EARLY = "stopped_early"
    DIVERGED = "diverged"
    COLLAPSED = "collapsed"
    OUT_OF_MEMORY = "out_of_memory"
    INFEASIBLE = "infeasible"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether a trial in this state will not be trained further."""
        return self not in (TrialState.RUNNING, TrialState.INTERRUPTED)

    @property
    def is_failure(self) -> bool:
        """Whether the trial ended without a usable result."""
        return self in (
            TrialState.DIVERGED,
            TrialState.COLLAPSED,
            TrialState.OUT_OF_MEMORY,
            TrialState.FAILED,
        )


class FaultKind(StrEnum):
    """What went wrong with a trial, in a word (docs/sweeps/faults.md)."""

    WORKER_KILLED = "worker_killed"
    NODE_LOST = "node_lost"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    COLLAPSED = "collapsed"
    DISK_FULL = "disk_full"
    FOLDER_REMOVED = "folder_removed"
    DAMAGED_CHECKPOINT = "damaged_checkpoint"
    INFEASIBLE = "infeasible"
    ERROR = "error"
    """An exception: of the program, or of the user's data or settings."""


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


class TrialFault(FrozenModel):
    """One fault of a trial, and what came of it."""

    kind: FaultKind
    message: str
    """The first line of the error."""
    kimg: float
    """How far the trial was, as far as is known."""
    outcome: Literal["ended", "retried", "set aside"]
    """`ended`: the trial's end. `retried`: it went on, from its last checkpoint where there was
    one. `set aside`: it was no fault of this trial's, the sweep was stopped, and a resume goes on
    with it."""
    at: str
    """When it was noticed, ISO 8601 with offset."""


class TrialCost(FrozenModel):
    """What a trial has used so far, over all its attempts."""

    train_seconds: float = 0.0
    score_seconds: float = 0.0
    generator_parameters: int = 0
    discriminator_parameters: int = 0
    flops_per_real_image: float | None = None
    """Operations of training for each real image, counted from the config; None in records of
    versions that did not keep it."""
    peak_memory_mb: float | None = None
    """Peak resident (CPU) or allocated (CUDA) memory, in MiB; None where the system doesn't say."""


class Placement(FrozenModel):
    """Where one attempt at a trial ran."""

    node: str
    """Host, and the first digits of Ray's id of the node: `host/3f0c1a`."""
    gpus: tuple[str, ...] = ()
    """The ids, on that node, of the GPUs that its processes held or shared; a process each."""


class FinalistRun(FrozenModel):
    """A configuration of the search, trained again from a fresh seed."""

    of: str
    """Name of the search trial whose settings it has."""
    seed_index: int = Field(ge=0)
    """Which of the fresh seeds, from 0."""

    @property
    def trial(self) -> str:
        """The name of the run, and its folder below `trials/`: `0002-s1`."""
        return f"{self.of}-s{self.seed_index}"


class Exploit(FrozenModel):
    """A trial of a population that went on from a better one's training."""

    of: str
    """Name of the trial that it took over from."""
    kimg: float
    """The rung at which it did."""
    old_settings: dict[str, Setting]
    """What it had trained with until then."""
    new_settings: dict[str, Setting]
    """What it trained with from then on: the other's, perturbed."""


class TrialRecord(VersionedRecord):
    """Everything a table or a report says about one trial (`trials/<trial>/record.json`)."""

    trial: str
    """Name, and folder below `trials/`: the trial's number with leading zeros, and of a finalist
    run the seed's index behind it: `0002-s1`."""
    number: int
    """In the order of the search; of a finalist run, the number of the trial whose settings it
    has."""
    finalist: FinalistRun | None = None
    """Which finalist run it is; None for a trial of the search."""
    state: TrialState
    cause: str | None = None
    """Why it failed or can't be trained, in one line; None in all other states."""
    kimg: float = 0.0
    """Thousand real images shown to the discriminator so far."""
    total_kimg: float
    settings: dict[str, Setting]
    """The searched values by search path, as validated: `generator.depths: [2, 2]`."""
    config: dict[str, Any]
    """The complete validated training config the trial ran with."""
    seed: int
    scores: tuple[RungScores, ...] = ()
    """One entry a rung, in order of kimg. A finalist run has one for each way in which it was
    scored at its end, which their `protocol_sha256` tells apart."""
    exploits: tuple[Exploit, ...] = ()
    """What it took over from others, in the order of kimg; `settings` and `config` are those since
    the last. Empty but for early stopping by `pbt`."""
    findings: tuple[TrialFinding, ...] = ()
    """What was wrong with the training, each kind once, in the order in which it was found."""
    faults: tuple[TrialFault, ...] = ()
    """All that went wrong with the trial, oldest first."""
    rerun: str | None = None
    """The command that trains it again, alone; None unless something went wrong."""
    cost: TrialCost = Field(default_factory=TrialCost)
    started_at: str | None = None
    """Start of the first attempt, ISO 8601 with offset."""
    ended_at: str | None = None
    attempts: int = 1
    """Times the trial was started: more than one after a resume."""
    placements: tuple[Placement, ...] = ()
    """Where its attempts ran, in their order; none for those outside Ray, and in records of
    versions that did not keep it."""
    checkpoint_path: str | None = None
    """Newest resumable checkpoint, relative to the trial's folder."""
    checkpoint_kimg: float | None = None
    """The last good kimg: what that checkpoint goes on from; None without one."""
    snapshot_path: str | None = None
    """Newest EMA generator, relative to the trial's folder."""

    @property
    def fault(self) -> TrialFault | None:
        """What ended the trial or set it aside; None where nothing did."""
        if not self.faults or self.faults[-1].outcome == "retried":
            return None
        stands = self.state.is_failure or self.state in (
            TrialState.INFEASIBLE,
            TrialState.INTERRUPTED,
        )
        return self.faults[-1] if stands else None


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
    """When its command was given."""
    ended_at: str | None = None
    """None until it ends, and for good if it was killed."""
    command: str
    """The command that started it, as it can be typed again."""
    outcome: str = "running"
    """`running`, `finished`, `interrupted`, or `killed`, as the next one finds it."""
    seconds: float = 0.0
    """From its start to its end, or to the last that was noted of it."""
    gpu_seconds: float = 0.0
    """GPUs that its trials held, each times the seconds for which it was held."""


class FinalistsRecord(FrozenModel):
    """How the best of a search are trained again from fresh seeds, and scored."""

    count: int
    """How many configurations, where so many completed."""
    seeds: int
    """Most fresh seeds of each."""
    column: MetricColumn
    """The objective at the finalists' number of images."""
    scoring: ProtocolRecord
    """How all finalist runs are scored: on fresh latents, alike."""
    search_sized_scoring: ProtocolRecord
    """How they are scored to be held against the search: on the same fresh latents, as many images
    as the search scored. The same as `scoring` where the numbers are the same."""


class SweepRecord(VersionedRecord):
    """What is known of the sweep as a whole (`sweep.json`)."""

    name: str
    task: str = "generate"
    """What is trained: `generate`, or on a backbone `classify` or `detect`."""
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
    finalists: FinalistsRecord | None = None
    """How finalists are run; None where the spec asks for none."""
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

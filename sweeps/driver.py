"""One sweep from its first line to its report: prepared, run, interrupted, resumed."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape

from evaluation.evaluator import RECORD_FILE, Evaluator
from evaluation.held_out import HeldOutEvaluator
from evaluation.inception_weights import InceptionFile
from evaluation.protocol import EvaluationRecord
from reports.build import build_report
from reports.comparison import Comparison
from reports.records import Forecast, Segment
from reports.run_folder import RecordError, RunFolder
from sweeps.calibration import calibrate
from sweeps.cluster import Cluster, open_cluster
from sweeps.comparable import check_scoring
from sweeps.description import continued, describe_sweep, metric_columns
from sweeps.driver_lock import only_driver
from sweeps.faults import explained, is_removed
from sweeps.final_scoring import describe_finalists
from sweeps.forecast import forecast, with_past
from sweeps.gpu_budget import GpuMeter
from sweeps.hang import hang_seconds
from sweeps.interruption import Interruption
from sweeps.ledger import Ledger
from sweeps.live import LiveTable
from sweeps.outlook import say_too_large
from sweeps.outset import (
    resources_text,
    say_faults,
    say_gpu_hours,
    say_scale,
    say_time,
    say_where,
)
from sweeps.plan import (
    concurrent_trials,
    device_for,
    device_here,
)
from sweeps.rehearsal import check_labels
from sweeps.rung_images import prepare_neighbours, save_grid
from sweeps.scratch import scratch_folder
from sweeps.settled import settle
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from sweeps.task_evaluation import check_task_data, prepare_held_out
from sweeps.terminal import doing
from sweeps.trial import now
from sweeps.warm_start import check_prior_scoring, prior_of
from transgan.data import ImageData, load_data

BEAT_SECONDS = 10.0
REPORT_SECONDS = 4.0
"""What closing Ray and building the report take."""


@dataclass
class Outcome:
    """How a start or resume ended."""

    interrupted: bool
    reason: str
    exit_code: int
    """Of the command, where it was interrupted."""
    stopped_because: str | None
    """What must be mended before the sweep can go on; None where nothing must."""
    comparison: Comparison


def usable_data(spec: SweepSpec) -> ImageData:
    """The data of `spec`, if it can be scored as the spec says.

    Raises:
        DataError: it can't be had, or can't be used.
        SpecError: the evaluation needs labels, and it has none.
    """
    data = load_data(spec.data)
    check_labels(spec, has_labels=data.train_labels is not None)
    check_task_data(spec, data)
    return data


def execute(
    run: RunFolder,
    spec: SweepSpec,
    data: ImageData,
    *,
    name: str,
    address: str | None,
    dashboard: bool,
    inception: InceptionFile,
    console: Console,
    started: float,
) -> Outcome:
    """Start the sweep in `run`, or go on with it, to its end or to an interruption.

    Args:
        run: the run folder, which holds the spec.
        spec: the same spec.
        data: its data.
        name: the sweep's name.
        address: of the Ray cluster; None to start Ray on this machine.
        dashboard: whether Ray serves its dashboard.
        inception: which file of Inception weights to take.
        console: where progress is shown.
        started: when the command was given, by `time.monotonic`.

    Raises:
        SweepStoppedError: the run folder can't be written, or is gone.
        Stopped: asked to stop at once.
    """
    # More threads than a trial has would fight with the trials, and gain nothing on small networks.
    torch.set_num_threads(spec.resources.threads)
    hours = spec.budget.hours
    stop = Interruption(None if hours is None else started + hours * 3600)
    needed: int | None = None
    try:
        with stop.listening():
            with (
                only_driver(run),
                open_cluster(address, dashboard=dashboard) as cluster,
                scratch_folder() as scratch,
            ):
                stop.listen()
                if address is not None:
                    cluster = cluster.examined(run.path)
                    for note in cluster.notes:
                        console.print(f"[yellow]Note[/]       {escape(note)}", highlight=False)
                spec, derived = settle(run, spec, cluster.nodes)
                if address is None:
                    device_here(spec)
                if derived is not None:
                    console.print(f"[bold]Derived[/]    {derived}", highlight=False)
                if not run.read_trials():
                    say_too_large(spec, cluster.nodes, console)
                driver = _Driver(run, spec, name, data, inception, cluster, console, started)
                driver.prepare()
                with stop.saving(driver.abandon):
                    driver.train(stop, scratch)
                ledger = driver.ledger
                needed = ledger.needed_bytes
                interrupted = bool(stop.reason or ledger.stop_because) and not ledger.is_over
                driver.close("interrupted" if interrupted else "finished")
            console.print("Building the report …", highlight=False)
            comparison = build_report(run.path)
    except (OSError, RecordError) as error:
        raise explained(error, run.path, needed) from None
    because = driver.ledger.stop_because
    return Outcome(interrupted, stop.reason, stop.exit_code, because, comparison)


class _Driver:
    """The parts of one start or resume, in the order in which they come to be."""

    ledger: Ledger

    def __init__(
        self,
        run: RunFolder,
        spec: SweepSpec,
        name: str,
        data: ImageData,
        inception: InceptionFile,
        cluster: Cluster,
        console: Console,
        started: float,
    ) -> None:
        self.run, self.spec, self.name, self.data = run, spec, name, data
        self.inception = inception
        self.cluster, self.console, self.started = cluster, console, started
        self.concurrent = concurrent_trials(spec, cluster.nodes)
        self.device = device_for(spec)
        self.resources = resources_text(spec, cluster, self.concurrent, self.device)
        # On a cluster the driver may be on a machine without GPUs.
        self.own_device = self.device if torch.cuda.is_available() else "cpu"
        self.last_beat = started
        earlier = run.read_sweep().segments if run.sweep.exists() else ()
        self.gpu_meter = GpuMeter(
            gpus_per_trial=spec.resources.gpus * spec.resources.scoring_workers,
            earlier_seconds=sum(segment.gpu_seconds for segment in earlier),
            hours=spec.budget.gpu_hours,
        )

    def prepare(self) -> None:
        """All that comes before the first trial: extractor, reference, reals, speed, records."""
        say_where(self.cluster, self.resources, self.console)
        say_gpu_hours(self.spec, self.gpu_meter.total_hours, self.console)
        with doing("Preparing the evaluation …", self.console):
            evaluator = self._evaluator()
        self.finalists = None
        if isinstance(evaluator, Evaluator):
            self.finalists = describe_finalists(self.spec, evaluator)
        check_scoring(self.run, self.spec.evaluation, evaluator.record, self.finalists)
        check_prior_scoring(prior_of(self.spec, self.run), evaluator.record)
        if not self.run.reals.exists():
            save_grid(self.data.held_out_images, self.run.reals)
        if isinstance(evaluator, Evaluator):
            with doing("Looking for real images among the training images …", self.console):
                prepare_neighbours(self.run, evaluator, self.data)
        objective = evaluator.protocol.recorded_names(evaluator.record.extractor)[0]
        self.ledger = Ledger(
            self.spec,
            self.run,
            objective=objective,
            concurrent=self.concurrent,
            device=self.device,
            finalists=self.finalists,
        )
        if self.gpu_meter.is_used_up and not self.ledger.is_over:
            raise SpecError(
                f"{self.run.spec}: budget.gpu_hours is {self.spec.budget.gpu_hours:g}, and the "
                f"sweep has used {self.gpu_meter.total_hours:.4g}; raise it to go on"
            )
        with doing("Measuring how fast this machine trains …", self.console):
            to_compare = evaluator.record.ceiling.seconds
            calibration = calibrate(self.spec, self.data, self.device, to_compare)
        records = self.ledger.records
        self.forecast = forecast(
            self.spec,
            calibration,
            self.concurrent,
            done={number: record.kimg for number, record in records.items()},
            ended=[number for number, record in records.items() if record.state.is_final],
            finalist_runs_done=self._finalist_runs_done(),
        )
        self.hang_seconds = hang_seconds(
            self.spec, calibration.seconds_per_kimg, calibration.seconds_to_score
        )
        self._open_segment(evaluator.record)
        find = {column.name: column for column in metric_columns(evaluator.record)}
        say_scale(find[self.ledger.objective], self.console)
        say_time(self.forecast, self._total_forecast(), self._gone(), self.console)
        say_faults(self.spec, self.hang_seconds, self.console)

    def train(self, stop: Interruption, scratch: Path) -> None:
        """Run the trials, showing how they go."""
        from sweeps.tuning import run_trials  # imports Ray, whose settings the cluster has made

        objective = self.run.read_sweep().metric(self.ledger.objective)
        live = LiveTable(
            self.ledger,
            self.console,
            label=objective.label,
            number_format=objective.format,
            forecast=self.forecast.seconds,
        )

        def tick(num_holding: int) -> None:
            self.gpu_meter.look(num_holding)
            if self.gpu_meter.is_used_up and not stop.reason:
                stop.reason = "budget.gpu_hours is used up"
            if stop.reason:
                live.note = "stopping …"
            live.update()
            self._beat()

        with live:
            run_trials(
                self.ledger,
                self.data,
                self.spec.resources,
                inception=self.inception,
                scratch=scratch,
                hang_seconds=self.hang_seconds,
                on_tick=tick,
                should_stop=stop.requested,
            )
            if self.ledger.stop_because is None or not is_removed(self.run.path):
                self.ledger.interrupt()
        if self.ledger.ended_because is not None:
            self.console.print(
                f"[bold]Search[/]     ended after {len(self.ledger.records)} trials: "
                f"{escape(self.ledger.ended_because)}",
                highlight=False,
            )
        if self.ledger.finalists is not None and self.ledger.finalists.note:
            self.console.print(
                f"[bold]Finalists[/]  {escape(self.ledger.finalists.note)}", highlight=False
            )

    def close(self, outcome: str) -> None:
        """Note how this segment ended."""
        self._change_segment(outcome=outcome, ended_at=now())

    def abandon(self, reason: str) -> None:
        """Save what this process knows, before it ends without waiting for Ray."""
        self.ledger.interrupt()
        self.close("interrupted")
        self.console.show_cursor(True)  # which a live table hides
        self.console.print(
            f"{reason}; go on with: tg-sweep resume {escape(shlex.quote(str(self.run.path)))}",
            highlight=False,
        )

    def _beat(self) -> None:
        """Keep the segment's length on record, for the case that its end never is."""
        if time.monotonic() - self.last_beat > BEAT_SECONDS:
            self.last_beat = time.monotonic()
            self._change_segment()

    def _gone(self) -> float:
        """Seconds since the command was given."""
        return time.monotonic() - self.started

    def _change_segment(self, **changes: str) -> None:
        sweep = self.run.read_sweep()
        *earlier, current = sweep.segments
        spent = {
            "seconds": round(self._gone(), 1),
            "gpu_seconds": round(self.gpu_meter.seconds, 3),
        }
        changed = current.model_copy(update={**spent, **changes})
        self.run.write_sweep(sweep.model_copy(update={"segments": (*earlier, changed)}))

    def _evaluator(self) -> Evaluator | HeldOutEvaluator:
        """The evaluation of this sweep, prepared once and then loaded."""
        if self.spec.task != "generate":
            if (self.run.evaluation / RECORD_FILE).exists():
                return HeldOutEvaluator.load(self.run.evaluation)
            return prepare_held_out(self.spec, self.data, self.run.evaluation, self.device)
        if (self.run.evaluation / RECORD_FILE).exists():
            return Evaluator.load(
                self.run.evaluation, inception=self.inception, device=self.own_device
            )
        return Evaluator.prepare(
            self.spec.evaluation,
            dataset=self.data.name,
            train_images=self.data.train_images,
            train_labels=self.data.train_labels,
            reference_images=self.data.held_out_images,
            reference_labels=self.data.held_out_labels,
            folder=self.run.evaluation,
            inception=self.inception,
            device=self.own_device,
        )

    def _open_segment(self, evaluation: EvaluationRecord) -> None:
        began = now(seconds_ago=self._gone())
        segment = Segment(started_at=began, command=shlex.join(["tg-sweep", *sys.argv[1:]]))
        sweep = describe_sweep(
            self.spec,
            evaluation,
            name=self.name,
            data=self.data.description,
            resources=self.resources,
            forecast=self._total_forecast(),
            segment=segment,
            finalists=self.finalists,
            prior=prior_of(self.spec, self.run),
        )
        if self.run.sweep.exists():
            sweep = continued(self.run.read_sweep(), sweep, self.run.read_trials())
        self.run.write_sweep(sweep)

    def _finalist_runs_done(self) -> int:
        """Finalist runs that need nothing more; once the race is over, all there could be."""
        finalists = self.ledger.finalists
        if finalists is None:
            return 0
        return self.spec.most_finalist_runs if self.ledger.is_over else finalists.num_ended

    def _total_forecast(self) -> Forecast:
        """The forecast of everything, from the command's start to the report."""
        return with_past(self.forecast, self._gone() + REPORT_SECONDS)

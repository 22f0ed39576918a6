"""The sweep on Ray Tune: trials as actors, fed and judged by the ledger."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evaluation.inception_weights import InceptionFile
from reports.records import FaultKind
from reports.run_folder import RecordError, TrialFolder
from sweeps.cluster import MEMORY_MONITOR, living_nodes, prepare_environment
from sweeps.faults import Loss, kind_of, loss_from
from sweeps.hang import HangWatch
from sweeps.kernel_kills import KernelKills
from sweeps.ledger import Ledger
from sweeps.live_metrics import Outlets
from sweeps.places import PlaceWatch
from sweeps.recovery import Worker, worker_of
from sweeps.resources import Resources
from sweeps.trainable import TransGANTrial
from transgan.data import ImageData

prepare_environment()

import ray  # noqa: E402  (after its environment)
from ray import tune  # noqa: E402
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError  # noqa: E402
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # noqa: E402
from ray.tune.search import Searcher  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

logging.getLogger("ray.tune").setLevel(logging.CRITICAL)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class _LedgerSearcher(Searcher):
    """Hands out what the ledger says is next."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        self.names: dict[str, str] = {}
        """The ledger's name of each of Tune's trials."""
        self.closed = False
        """Whether nothing more is to be started."""
        self.handed_out: list[str] = []
        """Names of trials that were handed out since somebody looked."""
        self.error: Exception | None = None
        """What this process, and no trial, came to grief of."""

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep errors of the ledger for later: Tune would bury them, and what runs with them."""
        try:
            yield
        except (OSError, RecordError) as error:
            self.error = self.error or error
            self.closed = True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        task = None
        try:
            with self.guarded():
                task = None if self.closed else self.ledger.next_task()
        except StopIteration:
            return Searcher.FINISHED
        if self.closed:
            return Searcher.FINISHED
        if task is None:
            return None
        self.names[trial_id] = task.trial
        self.handed_out.append(task.trial)
        name = f"{task.trial} of {self.ledger.run.path.name}"
        return {"name": name, "task": task.model_dump_json()}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler has told the ledger."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resumed sweep opens its ledger anew."""


class _LedgerScheduler(FIFOScheduler):
    """Passes every report to the ledger, and stops the trials that it says to stop."""

    def __init__(self, searcher: _LedgerSearcher) -> None:
        super().__init__()
        self.searcher = searcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return TrialScheduler.STOP if self._hear(trial, result) else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._hear(trial, result)

    def _hear(self, trial: Any, result: dict[str, Any]) -> bool:
        """Pass a report on; whether the trial is to be stopped."""
        name, ledger = self.searcher.names[trial.trial_id], self.searcher.ledger
        with self.searcher.guarded():
            if ledger.run.trial(name).record.exists():
                return ledger.hear(name, result["report"])
            # The trial itself may not have noticed that its folder was removed.
            ledger.lost(name, Loss(FaultKind.FOLDER_REMOVED, "its folder was removed"))
        return True


class _Watch(tune.Callback):
    """Calls back a few times a second, however quiet the trials are, and when one is lost."""

    def __init__(
        self,
        searcher: _LedgerSearcher,
        on_tick: Callable[[int], None],
        is_stopping: Callable[[], bool],
        hangs: HangWatch,
        places: PlaceWatch,
    ) -> None:
        self.searcher, self.on_tick, self.is_stopping = searcher, on_tick, is_stopping
        self.hangs, self.places, self.kernel_kills = hangs, places, KernelKills()
        self.killed: set[str] = set()
        """Names of the trials that were ended since they hung."""
        self.waiting: dict[str, Worker | None] = {}
        """Trials that were handed out and have no process yet, with who trained them before."""
        self.holding: set[str] = set()
        """Names of the trials that hold their resources."""

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        with self.searcher.guarded():
            self.on_tick(len(self.holding))
            self._note_processes()
            self.kernel_kills.look()
            for name in self.hangs.hung():
                self.killed.add(name)
                end_worker(self.searcher.ledger.run.trial(name))
            if (lack := self.places.lack(is_wanted=bool(self.waiting))) is not None:
                self.searcher.ledger.stop(lack)
            if not self.searcher.closed:
                self.searcher.ledger.think_ahead()
        if self.searcher.ledger.stop_because is not None:
            self.searcher.closed = True

    def _note_processes(self) -> None:
        """Start the time of trials whose process has come up: building things may hang too."""
        run = self.searcher.ledger.run
        for name in self.searcher.handed_out:
            self.waiting[name] = worker_of(run.trial(name))
        self.searcher.handed_out.clear()
        for name, before in list(self.waiting.items()):
            if worker_of(run.trial(name)) != before:
                del self.waiting[name]
                self.hangs.progressed(name)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name = self.searcher.names[trial.trial_id]
        self.waiting.pop(name, None)
        self.holding.add(name)
        self.hangs.progressed(name)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.hangs.progressed(self.searcher.names[trial.trial_id])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name = self.searcher.names[trial.trial_id]
        self.holding.discard(name)
        self.hangs.ended(name)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name = self.searcher.names[trial.trial_id]
        self.holding.discard(name)
        self.hangs.ended(name)
        if self.is_stopping():
            return  # whoever stops a sweep may stop its trials' processes too
        loss = _loss(_error_of(trial))
        if name in self.killed:
            self.killed.discard(name)
            minutes = f"no progress for {self.hangs.seconds / 60:g} minutes"
            loss = Loss(FaultKind.HUNG, minutes, loss.details)
        elif loss.kind is FaultKind.WORKER_KILLED and self._lacked_memory(name):
            why = "the kernel killed its process for want of memory"
            loss = Loss(FaultKind.OUT_OF_MEMORY, why, loss.details)
        with self.searcher.guarded():
            self.searcher.ledger.lost(name, loss)

    def _lacked_memory(self, name: str) -> bool:
        worker = worker_of(self.searcher.ledger.run.trial(name))
        here = worker is not None and worker.host == socket.gethostname()
        return here and self.kernel_kills.were_just_now()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles callbacks into a state that is never read


def run_trials(
    ledger: Ledger,
    data: ImageData,
    resources: Resources,
    *,
    inception: InceptionFile,
    scratch: Path,
    hang_seconds: float,
    on_tick: Callable[[int], None],
    should_stop: Callable[[], bool],
    trainable: type[tune.Trainable] = TransGANTrial,
) -> None:
    """Run what the ledger hands out until it has nothing more, or `should_stop` says so.

    Args:
        ledger: what is to be done, and where all results go.
        data: given once to the cluster, shared by all trials.
        resources: of each trial.
        inception: which file of Inception weights each trial is to take.
        scratch: folder for what Tune itself writes; nothing in it is read again.
        hang_seconds: after how long without progress a trial is ended, and after how long without
            a node that could take one, the sweep.
        on_tick: called a few times a second with the number of trials that hold their resources.
        should_stop: asked at each tick; trials that still run are then stopped and can be resumed.
        trainable: what a trial is in its process.

    Raises:
        OSError: the run folder can't be written.
        RecordError: part of it is gone or damaged.
    """
    searcher = _LedgerSearcher(ledger)
    hangs = HangWatch(hang_seconds)
    places = PlaceWatch(resources, lambda: tuple(living_nodes()), hang_seconds)

    def tick(num_holding: int) -> None:
        on_tick(num_holding)
        searcher.closed = searcher.closed or should_stop()

    trainable = tune.with_parameters(
        trainable,
        data=data,
        run_path=str(ledger.run.path.absolute()),  # nodes have working folders of their own
        resources=resources,
        inception=inception,
        outlets=Outlets(tensorboard=ledger.spec.tensorboard),
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, _reserved(resources)),
        tune_config=tune.TuneConfig(
            num_samples=-1,
            search_alg=searcher,
            scheduler=_LedgerScheduler(searcher),
            max_concurrent_trials=ledger.concurrent,
            reuse_actors=resources.reuse_workers,
            trial_name_creator=lambda trial: trial.config["name"].split()[0],
            trial_dirname_creator=lambda trial: trial.config["name"].split()[0],
        ),
        run_config=tune.RunConfig(
            name=scratch.name,
            storage_path=str(scratch.parent),
            callbacks=[_Watch(searcher, tick, should_stop, hangs, places)],
            # A trial keeps its own checkpoints; Tune would ask a class for one at its end.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            stop=_StopAll(searcher),
            verbose=0,
        ),
    )
    chatter = io.StringIO()
    try:
        with contextlib.redirect_stdout(chatter):
            tuner.fit()
    except RuntimeError as error:
        if not isinstance(error.__cause__, OutOfMemoryError):
            raise
        # No fault of a trial to Tune, which has ended them all.
        ledger.stop(
            "Ray on a node killed a trial's process for want of memory, which ends the sweep where "
            f"the kernel's kill would end the trial; export {MEMORY_MONITOR}=0 and start Ray again "
            "there"
        )
    if searcher.error is not None:
        raise searcher.error
    if ledger.stop_because is None:  # else the folder may be gone, or full
        with ledger.run.log.open("a", encoding="utf-8") as log:
            log.write(chatter.getvalue())


def _reserved(resources: Resources) -> tune.PlacementGroupFactory:
    """What a trial holds from its start to its end: a bundle for each of its processes.

    Those that share batches are on one node.
    """
    together = "STRICT_PACK" if resources.workers > 1 else "PACK"
    return tune.PlacementGroupFactory(resources.bundles, strategy=together)


class _StopAll(tune.Stopper):
    """Ends the sweep once the searcher is closed."""

    def __init__(self, searcher: _LedgerSearcher) -> None:
        self.searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.searcher.closed


def _error_of(trial: Any) -> BaseException | None:
    """A trial's error; Tune's own way to it looks where the file is brought only later."""
    path = Path(trial.pickled_error_file) if trial.pickled_error_file else None
    if path is None or not path.exists():
        return None
    error: BaseException = ray.cloudpickle.loads(path.read_bytes())
    return error


def _loss(error: BaseException | None) -> Loss:
    """What Ray's error says of a trial's end."""
    text = _COLOUR.sub("", str(error or ""))
    if isinstance(error, RayTaskError):
        return loss_from(error.cause or error, text)
    if isinstance(error, RayActorError) and error.actor_init_failed:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return Loss(kind_of(RuntimeError(text)), lines[-1], text)  # the error itself is not kept
    if "its node has died" in text:
        return Loss(FaultKind.NODE_LOST, "its node was lost", text)
    return Loss(FaultKind.WORKER_KILLED, "its process was killed", text)


def end_worker(folder: TrialFolder) -> None:
    """Kill the process that trains a trial, wherever it runs; it may hear nothing else."""
    worker = worker_of(folder)
    if worker is None:
        return
    if worker.host == socket.gethostname():
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        return
    there = NodeAffinitySchedulingStrategy(node_id=worker.node, soft=False)
    ray.remote(num_cpus=0, scheduling_strategy=there)(os.kill).remote(worker.pid, signal.SIGKILL)

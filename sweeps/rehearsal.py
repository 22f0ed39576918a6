"""What would stop a sweep before its first trial, found without starting it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sweeps.cluster import ClusterError, open_cluster
from sweeps.folder import RunFolderError, check_vacant
from sweeps.plan import concurrent_trials, device_for
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from transgan.data import DataError, foresee_data


class Rehearsal(NamedTuple):
    """One line each."""

    obstacles: tuple[str, ...]
    """Why the sweep could not be run; empty if it could."""
    notes: tuple[str, ...]
    """What could not be looked at."""


def rehearse(spec: SweepSpec, path: Path, address: str | None) -> Rehearsal:
    """Whether `spec` could be run into `path` at `address`.

    Data is neither decoded nor downloaded for this, so that broken pictures, and data sets that are
    not here yet, are only found by running.
    """
    found: list[str] = []
    notes: list[str] = []
    checks: tuple[Callable[[], None], ...] = (
        partial(check_vacant, path),
        partial(_check_data, spec, notes),
        partial(_check_place, spec, address),
    )
    for check in checks:
        try:
            check()
        except (RunFolderError, DataError, SpecError, ClusterError) as error:
            found.append(str(error))
    return Rehearsal(tuple(found), tuple(notes))


def _check_data(spec: SweepSpec, notes: list[str]) -> None:
    prospect = foresee_data(spec.data)
    check_labels(spec, has_labels=prospect.has_labels)
    if not prospect.is_here:
        notes.append(
            f"data {spec.data.name} is not decoded here yet: what is missing of it would be "
            "downloaded first"
        )


def check_labels(spec: SweepSpec, *, has_labels: bool) -> None:
    """Refuse data without labels where the evaluation needs them.

    Raises:
        SpecError: it does.
    """
    try:
        spec.evaluation.check_labels(has_labels)
    except ValueError as error:
        raise SpecError(f"evaluation: {error}") from None


def _check_place(spec: SweepSpec, address: str | None) -> None:
    device_for(spec)
    if address is not None:
        with open_cluster(address, dashboard=False) as cluster:
            concurrent_trials(spec, cluster.cpus, cluster.gpus)

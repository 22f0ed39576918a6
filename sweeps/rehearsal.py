"""What would stop a sweep before its first trial, found without starting it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from rich.console import Console

from evaluation.dinov2_weights import Dinov2WeightsError
from evaluation.extractor_module import ExtractorModuleError
from evaluation.inception_weights import (
    INCEPTION_VARIABLE,
    USUAL_FILE,
    InceptionFile,
    InceptionWeightsError,
    locate_inception_weights,
)
from evaluation.metrics import MetricError
from sweeps.cluster import ClusterError, open_cluster
from sweeps.derived_resources import Derived
from sweeps.devices import this_machine
from sweeps.extractor_options import inception_file
from sweeps.folder import RunFolderError
from sweeps.plan import device_here
from sweeps.resources import Node
from sweeps.run_place import RunPlace
from sweeps.settled import settled
from sweeps.shadowing import ShadowedPackageError, check_working_directory
from sweeps.spec import SweepSpec
from sweeps.spec_text import SpecError
from sweeps.store import StoreError
from transgan.data import DataError, MissingDataError, foresee_data, load_data
from transgan.data_config import DATA_SETS

_OBSTACLES = (
    *(RunFolderError, StoreError, DataError, SpecError, ClusterError, ShadowedPackageError),
    *(InceptionWeightsError, Dinov2WeightsError, ExtractorModuleError, MetricError),
)
"""What the checks raise for people."""


class Rehearsal(NamedTuple):
    """One line each."""

    obstacles: tuple[str, ...]
    """Why the sweep could not be run; empty if it could."""
    notes: tuple[str, ...]
    """What could not be looked at."""
    nodes: tuple[Node, ...]
    """Where trials would run; none where that stands in the way."""
    settled: Derived | None
    """The spec as those nodes would have it; None where no trial fits them, or there are none."""


def rehearse(
    spec: SweepSpec,
    place: RunPlace,
    address: str | None,
    inception: InceptionFile,
    console: Console,
) -> Rehearsal:
    """Whether `spec` could be run into `place` at `address`, with these Inception weights.

    Nothing is downloaded for this, and what is known of the spec's data is what `look_at_data`
    finds. `console` shows that pictures are read.
    """
    found: list[str] = []
    notes: list[str] = []
    nodes: list[Node] = []
    checks: tuple[Callable[[], None], ...] = (
        place.check_vacant,
        partial(_check_data, spec, notes, console),
        partial(_check_nodes, spec, place, address, nodes, notes),
        partial(_check_extractor, spec, inception, notes),
    )
    for check in checks:
        try:
            check()
        except _OBSTACLES as error:
            found.append(str(error))
    derived = None
    if nodes:
        try:
            derived = settled(spec, nodes)
        except SpecError as error:
            found.append(str(error))
    return Rehearsal(tuple(found), tuple(notes), tuple(nodes), derived)


def foresee_extractor(spec: SweepSpec) -> tuple[str, ...]:
    """What a run would have to fetch for its scores first, or would stop at; no option given."""
    notes: list[str] = []
    try:
        _check_extractor(spec, USUAL_FILE, notes)
    except _OBSTACLES as error:
        notes.append(f"a run would stop at this: {error}")
    return tuple(notes)


def look_at_data(spec: SweepSpec, console: Console) -> tuple[str, ...]:
    """What a run would have to fetch first, or would stop at here since nothing is there.

    Raises:
        DataError: the data is here, and can't be used.
        SpecError: the evaluation needs labels, and it has none.
    """
    notes: list[str] = []
    try:
        _check_data(spec, notes, console)
    except MissingDataError as error:  # a plan may be made far from the data
        notes.append(f"a run would stop at this: {error}")
    return tuple(notes)


def _check_data(spec: SweepSpec, notes: list[str], console: Console) -> None:
    """Read the data as a run does where it is the user's own: only so are broken pictures found.

    They are decoded into the cache, where the run finds them, so that nothing is done twice. Of the
    known data sets nothing is made or fetched.
    """
    prospect = foresee_data(spec.data)
    check_labels(spec, has_labels=prospect.has_labels)
    if spec.data.name not in DATA_SETS:
        with console.status("Reading the images …"):
            load_data(spec.data)
    elif not prospect.is_here:
        notes.append(
            f"data {spec.data.name} is not decoded here yet: what is missing of it would be "
            "downloaded first"
        )


def check_labels(spec: SweepSpec, *, has_labels: bool) -> None:
    """Refuse data without labels where the evaluation needs them.

    Raises:
        SpecError: it does.
    """
    if spec.task == "classify" and not has_labels:
        raise SpecError(
            f"data.name: {spec.data.name} has no labels to classify by; give a data set that has, "
            "or a folder with one folder per class"
        )
    try:
        spec.evaluation.check_labels(has_labels)
    except ValueError as error:
        raise SpecError(f"evaluation: {error}") from None


def _check_nodes(
    spec: SweepSpec, place: RunPlace, address: str | None, nodes: list[Node], notes: list[str]
) -> None:
    """Look at where trials would run, as a run does, and note the nodes."""
    if address is None:
        check_working_directory()
        device_here(spec)
        nodes.append(this_machine())
        return
    folder = place.folder.absolute()
    # The run folder is not there yet; as far as it is, nodes must have it too.
    there = next(at for at in (folder, *folder.parents) if at.is_dir())
    with (
        open_cluster(address, dashboard=False) as cluster,
        suppress(PermissionError),  # which was said of the folder already
    ):
        examined = cluster.examined(there)
        nodes.extend(examined.nodes)
        notes.extend(examined.notes)


def _check_extractor(spec: SweepSpec, inception: InceptionFile, notes: list[str]) -> None:
    named = inception.path or os.environ.get(INCEPTION_VARIABLE)
    wanted = spec.evaluation.extractor == "inception"
    if wanted and not named and locate_inception_weights() is None:
        notes.append("the Inception weights are not here yet: they would be downloaded first")
    else:
        inception_file(spec, *inception)

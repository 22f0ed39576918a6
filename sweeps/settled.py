"""What a spec leaves to the machine, settled once: a resume on another machine goes on alike."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.whole_files import write_atomically
from reports.run_folder import RunFolder
from sweeps.derived_resources import Derived, derive_resources
from sweeps.plan import fitting_trials
from sweeps.resources import Node
from sweeps.spec import MOST_TRIALS, SweepSpec


def settle(run: RunFolder, spec: SweepSpec, nodes: Sequence[Node]) -> Derived:
    """The spec with the resources and the memory of each trial, the trials at once and the slack.

    It is written into the run folder, too. Settled is what proposals depend on; so nothing is, once
    a trial has been proposed. A machine with less to give then runs fewer at once, and one with
    more no more.

    Args:
        run: the run folder, which holds the spec.
        spec: the same spec.
        nodes: the machines that there are.

    Raises:
        SpecError: not even one trial fits.
    """
    if run.infeasible.exists() or run.read_trials():
        return Derived(spec, None)
    derived = settled(spec, nodes)
    write_atomically(run.spec, derived.spec.to_yaml().encode())
    return derived


def settled(spec: SweepSpec, nodes: Sequence[Node]) -> Derived:
    """The spec as a sweep that started on `nodes` would settle it.

    Raises:
        SpecError: not even one trial fits.
    """
    spec, reason = derive_resources(spec, nodes)
    at_once = min(fitting_trials(spec, nodes), spec.budget.concurrent_trials or MOST_TRIALS)
    budget = spec.budget.model_copy(update={"concurrent_trials": at_once})
    resources = spec.resources
    sizes = [node.gpu_gb for node in nodes if node.gpus and node.gpu_gb is not None]
    is_predicted = spec.task == "generate"  # the memory of other tasks is not
    has_share = is_predicted and resources.memory_gb is None and resources.computes_on_gpu
    if has_share and sizes:
        share = min(resources.gpus, 1.0)
        resources = resources.model_copy(update={"memory_gb": round(min(sizes) * share, 3)})
    stopping = spec.early_stopping.settled(spec.goal)
    changes = {"budget": budget, "resources": resources, "early_stopping": stopping}
    return Derived(spec.model_copy(update=changes), reason)

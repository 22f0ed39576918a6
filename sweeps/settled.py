"""What a spec leaves to the machine, settled once: a resume on another machine goes on alike."""

from __future__ import annotations

import torch

from evaluation.whole_files import write_atomically
from reports.run_folder import RunFolder
from sweeps.memory import GB
from sweeps.plan import fitting_trials
from sweeps.spec import MOST_TRIALS, SweepSpec


def settle(run: RunFolder, spec: SweepSpec, *, cpus: int, gpus: int) -> SweepSpec:
    """The spec with the trials at once and the memory of each, also in the run folder.

    Settled is what proposals depend on; so nothing is, once a trial has been proposed. A machine
    with less to give then runs fewer at once, and one with more no more.

    Args:
        run: the run folder, which holds the spec.
        spec: the same spec.
        cpus: CPUs that there are.
        gpus: GPUs that there are.

    Raises:
        SpecError: not even one trial fits.
    """
    if run.infeasible.exists() or run.read_trials():
        return spec
    at_once = min(fitting_trials(spec, cpus, gpus), spec.budget.concurrent_trials or MOST_TRIALS)
    budget = spec.budget.model_copy(update={"concurrent_trials": at_once})
    resources = spec.resources
    is_predicted = spec.task == "generate"  # the memory of other tasks is not
    has_share = is_predicted and resources.memory_gb is None and resources.gpus_per_trial
    if has_share and torch.cuda.is_available():
        whole = torch.cuda.get_device_properties(0).total_memory / GB
        share = min(resources.gpus_per_trial, 1.0)
        resources = resources.model_copy(update={"memory_gb": round(whole * share, 3)})
    settled = spec.model_copy(update={"budget": budget, "resources": resources})
    write_atomically(run.spec, settled.to_yaml().encode())
    return settled

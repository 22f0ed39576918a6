"""A sweep whose space holds more than the memory it may take: none of it is tried."""

from __future__ import annotations

import pytest

from reports.infeasible import read_infeasible
from reports.records import TrialState
from reports.run_folder import RunFolder
from sweeps.memory import needed_gb
from sweeps.spec import load_spec
from tests.end_to_end.test_sweep import TINY, finish, start

pytestmark = pytest.mark.slow

NARROW, WIDE = 64, 1024
FEW_KINDS = (
    "search.generator.depths={choice: [[1, 1]]}",
    "search.generator.num_heads={choice: [4]}",
)
"""Besides the width, since the memory of each kind is predicted, for seconds."""


def test_no_trial_takes_more_memory_than_it_may_though_the_space_holds_some_that_would(tmp_path):
    spec = load_spec("digits", (*TINY[1::2], *FEW_KINDS))[1]
    narrow, wide = (
        needed_gb(spec.trial_config({"generator.embed_dim": dim}, 0), on_gpu=False, workers=1)
        for dim in (NARROW, WIDE)
    )
    limit = (narrow + wide) / 2
    assert wide > 1.3 * narrow  # else the limit would lie within the prediction's error
    options = (
        *FEW_KINDS,
        f"search.generator.embed_dim={{choice: [{NARROW}, {WIDE}]}}",
        f"resources.memory_gb={limit:.3f}",
        "sampler={name: random, seed: 0}",
    )
    sets = [word for option in options for word in ("--set", option)]
    code, _, err = finish(
        start(
            "run",
            "digits",
            *TINY,
            *sets,
            "--trials",
            "4",
            "--no-dashboard",
            "--out",
            "run",
            cwd=tmp_path,
        )
    )
    assert code == 0, err
    run = RunFolder(tmp_path / "run")
    refused = read_infeasible(run)
    assert {proposal.settings["generator.embed_dim"] for proposal in refused} == {WIDE}
    trials = run.read_trials()
    assert len(trials) == 4
    assert {trial.settings["generator.embed_dim"] for trial in trials} == {NARROW}
    for trial in trials:
        assert trial.state in (TrialState.COMPLETED, TrialState.STOPPED_EARLY)
        assert trial.cost.peak_memory_mb is not None
        assert trial.cost.peak_memory_mb * 2**20 < limit * 1e9

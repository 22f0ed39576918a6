"""The whole ladder at its quickest: every rung is climbed, in order."""

from __future__ import annotations

from itertools import groupby

import pytest

from evaluation.agreement.check import RUNGS
from evaluation.agreement.ladder import climb


@pytest.mark.slow
@pytest.mark.slow
def test_quick_ladder_has_all_rungs_in_order_and_fails_none_above_the_algebra() -> None:
    checks = list(climb(quick=True))
    assert tuple(rung for rung, _ in groupby(check.rung for check in checks)) == RUNGS
    # The algebra has a test of its own.
    assert not [c for c in checks if c.outcome == "failed" and c.rung != "algebra"]
    sizes = [c.compared for c in checks if c.rung == "end to end" and "32×32" in c.compared]
    assert len(sizes) == 5
    assert checks[-1].not_run == "left out by --quick"

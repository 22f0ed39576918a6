"""What is left of too many trials: the leaders, the ends, and every new best."""

from __future__ import annotations

import itertools

from reports.comparison import Milestone
from reports.thinning import NUM_LEADERS, drawn_milestones, spread


def test_leaders_and_the_last_stay_and_the_rest_is_even() -> None:
    kept = spread(range(1000), 20)
    assert len(kept) == 20
    assert kept[:NUM_LEADERS] == tuple(range(NUM_LEADERS))
    assert kept[-1] == 999
    rest = kept[NUM_LEADERS:]
    gaps = {b - a for a, b in itertools.pairwise(rest)}
    assert max(gaps) - min(gaps) <= 1


def test_few_enough_stay_as_they_are() -> None:
    assert spread([3, 1, 2], 20) == (3, 1, 2)


def test_new_bests_survive_thinning() -> None:
    milestones = [Milestone(float(i), str(i), 100.0 - (i == 501), 100.0) for i in range(1000)]
    milestones[501] = Milestone(501.0, "501", 1.0, 1.0)
    others = [Milestone(m.work_seconds, m.trial, 200.0, m.best) for m in milestones]
    others[501] = milestones[501]
    kept = drawn_milestones(others, 100)
    assert len(kept) <= 102
    assert milestones[501] in kept
    assert kept[-1].trial == "999"

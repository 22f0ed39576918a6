"""The front is a step line; the curves of choices have names, bands and the shared budget."""

from __future__ import annotations

from collections.abc import Callable

from reports.comparison import Comparison, compare
from reports.expected_best import expected_best
from reports.figures.budget import expected_best_figure, trade_off_figure
from reports.figures.palette import trial_colours
from reports.records import SweepRecord, TrialCost, TrialRecord
from reports.trade_off import trade_offs

Make = Callable[..., TrialRecord]
Sweep = Callable[..., SweepRecord]
Scores = Callable[..., object]


def _comparison(make_sweep: Sweep, make_trial: Make, make_scores: Scores) -> Comparison:
    return compare(
        make_sweep(),
        [
            make_trial(
                i,
                settings={"loss.name": ["hinge", "<b>x"][i % 2]},
                scores=make_scores(30.0 - i),
                cost=TrialCost(train_seconds=120.0 + 60 * i),
            )
            for i in range(12)
        ],
    )


def test_front_steps_from_the_cheapest_to_the_best(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    comparison = _comparison(make_sweep, make_trial, make_scores)
    (kind,) = trade_offs(comparison).kinds
    figure = trade_off_figure(kind, comparison, trial_colours(comparison))
    line, beaten, front = figure.data
    assert line.line.shape == "hv"
    assert line.x == tuple(float(i) for i in range(2, 14))
    assert (len(beaten.x), len(front.x)) == (0, 12)
    assert figure.layout.xaxis.title.text == "training time (min)"


def test_choices_are_named_as_text_and_share_a_budget(
    make_sweep: Sweep, make_trial: Make, make_scores: Scores
) -> None:
    comparison = _comparison(make_sweep, make_trial, make_scores)
    _, by_loss = expected_best(comparison)
    figure = expected_best_figure(by_loss, comparison)
    assert [trace.name for trace in figure.data if trace.name] == ["hinge", "&lt;b&gt;x"]
    assert sum(trace.fill == "toself" for trace in figure.data) == 2
    (budget,) = figure.layout.shapes
    assert by_loss.equal_seconds is not None
    assert budget.x0 == by_loss.equal_seconds / 60

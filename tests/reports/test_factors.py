"""What settings do on average: found where it is so, not claimed where not, and said in words."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from reports.comparison import compare
from reports.factor_charts import factor_charts
from reports.factors import MAX_TRIALS, Factors, factor_answers
from reports.records import Measurement, RungScores, SettingDomain, SweepRecord, TrialRecord

LOSSES = {"hinge": 1.0, "nonsaturating": 0.4, "wgan-gp": 2.5}


@pytest.fixture
def answers(
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., tuple[RungScores, ...]],
) -> Callable[..., Factors]:
    """The answers of a sweep whose scores follow a formula of the settings."""

    def of(
        formula: Callable[[TrialRecord], float], num_trials: int = 40, **changes: object
    ) -> Factors:
        trials = [make_trial(number) for number in range(num_trials)]
        scored = [
            trial.model_copy(update={"scores": make_scores(formula(trial))}) for trial in trials
        ]
        return factor_answers(compare(make_sweep(**changes), scored))

    return of


def by_loss(trial: TrialRecord) -> float:
    noise = random.Random(trial.number + 999).gauss(0, 0.15)
    return 4 * LOSSES[str(trial.settings["loss.name"])] * math.exp(noise)


@pytest.mark.slow
def test_setting_that_decides_is_first_and_its_size_is_found(
    answers: Callable[..., Factors],
) -> None:
    found = answers(by_loss)
    loss, *others = found.answers
    assert loss.path == "loss.name"
    assert loss.told_apart
    assert loss.sentence.startswith("Best nonsaturating: 0.1")
    assert "times the score of wgan-gp (95% interval 0.1" in loss.sentence
    average = math.prod(LOSSES.values()) ** (1 / 3)
    for point in loss.points:
        assert point.low < LOSSES[point.label] / average < point.high
        assert point.high / point.low < 2
    assert sum(point.num_trials or 0 for point in loss.points) == 40
    assert not any(answer.told_apart for answer in others)


@pytest.mark.slow
def test_pure_noise_is_rarely_called_an_effect(answers: Callable[..., Factors]) -> None:
    claims = 0
    for draw in range(12):
        found = answers(
            lambda trial, draw=draw: math.exp(random.Random(f"{draw} {trial.number}").gauss(0, 1)),
            num_trials=12,
        )
        claims += sum(answer.told_apart for answer in found.answers)
    # Of 60 answers 3 would be 5 %.
    assert claims <= 6


@pytest.mark.slow
def test_numbers_have_points_over_the_range_on_its_scale(answers: Callable[..., Factors]) -> None:
    rates = {answer.path: answer for answer in answers(by_loss).answers}
    rate = rates["optimizer.generator_lr"]
    assert rate.is_numeric
    assert rate.is_log
    values = [point.value for point in rate.points]
    assert values[0] == pytest.approx(1e-4)
    assert values[1] / values[0] == pytest.approx(values[-1] / values[-2])
    assert all(point.num_trials is None for point in rate.points)


@pytest.mark.slow
def test_scores_that_may_be_negative_are_compared_by_differences(
    make_sweep: Callable[..., SweepRecord], make_trial: Callable[..., TrialRecord]
) -> None:
    def scores(trial: TrialRecord) -> tuple[RungScores, ...]:
        level = 0.2 if trial.settings["loss.name"] == "hinge" else -0.1
        value = level + random.Random(trial.number).gauss(0, 0.02)
        measurement = Measurement(name="fd_digits_classifier", value=value, num_images=1000)
        return (RungScores(kimg=60.0, measurements=(measurement,), fakes_path="fakes.png"),)

    trials = [make_trial(number) for number in range(20)]
    trials = [trial.model_copy(update={"scores": scores(trial)}) for trial in trials]
    found = factor_answers(compare(make_sweep(), trials))
    assert not found.is_ratio
    assert "a difference from the average" in found.explanation
    assert found.answers[0].sentence.startswith(("Best nonsaturating: -0.", "Best wgan-gp: -0."))
    assert "from hinge (95% interval -0." in found.answers[0].sentence


@pytest.mark.parametrize(
    ("num_trials", "level", "words"),
    [
        (0, 1.0, "The trials share no scored rung"),
        (5, 1.0, "Only 5 trials scored at 60 kimg: it takes 6"),
        (8, 1.0, "All trials have the same score: no setting has an effect"),
    ],
)
def test_without_enough_to_go_by_the_reason_is_said(
    answers: Callable[..., Factors], num_trials: int, level: float, words: str
) -> None:
    found = answers(lambda trial: level, num_trials=num_trials)
    assert found.answers == ()
    assert found.explanation.startswith(words)


@pytest.mark.slow
def test_setting_of_some_trials_alone_is_named_and_not_judged(
    make_sweep: Callable[..., SweepRecord],
    make_trial: Callable[..., TrialRecord],
    make_scores: Callable[..., tuple[RungScores, ...]],
) -> None:
    def settings(trial: TrialRecord) -> dict[str, object]:
        if trial.settings["loss.name"] != "wgan-gp":
            return dict(trial.settings)
        return {**trial.settings, "loss.gradient_penalty": 0.1 * (1 + trial.number)}

    domain = SettingDomain(path="loss.gradient_penalty", kind="loguniform", values=(0.1, 10.0))
    sweep = make_sweep(space=(*make_sweep().space, domain))
    trials = [make_trial(number) for number in range(12)]
    trials = [
        t.model_copy(update={"settings": settings(t), "scores": make_scores(by_loss(t))})
        for t in trials
    ]
    found = factor_answers(compare(sweep, trials))
    assert "loss.gradient_penalty" not in {answer.path for answer in found.answers}
    assert found.explanation.endswith("all the same: loss.gradient_penalty.")


@pytest.mark.slow
def test_large_sweep_is_thinned_evenly_and_says_so(answers: Callable[..., Factors]) -> None:
    found = answers(by_loss, num_trials=MAX_TRIALS + 13)
    assert f"fitted to {MAX_TRIALS} trials" in found.explanation
    assert f"taken evenly from the {MAX_TRIALS + 13} there are" in found.explanation


@pytest.mark.slow
def test_charts_share_an_axis_and_say_in_words_what_they_show(
    answers: Callable[..., Factors],
) -> None:
    found = answers(by_loss)
    charts = factor_charts(found)
    ranges: Sequence[object] = [entry.chart.figure.layout.yaxis.range for entry in charts]
    assert len(set(ranges)) == 1
    first = charts[0].chart
    assert first.title == "loss.name"
    assert first.alternative.startswith("Effect of loss.name with 95% intervals: hinge: ")
    bars = first.figure.data[0].error_y
    assert all(length > 0 for length in (*bars.array, *bars.arrayminus))

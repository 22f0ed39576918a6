import math
import statistics

import pytest

from reports.infeasible import InfeasibleProposal
from sweeps.known import Known
from sweeps.proposals import Proposals, trial_seed
from sweeps.sampler_config import SamplerConfig
from sweeps.search_space import Domain

SPACE = {
    "lr": Domain(loguniform=(1e-5, 1e-1)),
    "depths": Domain(choice=((1, 1), (2, 2))),
}
MIXED = {
    "gamma": Domain(loguniform=(0.1, 100.0), when={"loss": ("rpgan",)}),
    "loss": Domain(choice=("hinge", "rpgan")),
    "beta": Domain(uniform=(0.0, 1.0)),
    **SPACE,
}
GRID = {
    "lr": Domain(loguniform=(1e-5, 1e-1), points=5),
    "heads": Domain(randint=(2, 4)),
    "loss": Domain(choice=("hinge", "rpgan")),
    "gamma": Domain(uniform=(0.0, 1.0), points=3, when={"loss": ("rpgan",)}),
}
TPE = SamplerConfig(name="tpe", seed=3, startup_trials=5)
NAMES = ("random", "grid", "tpe", "gp", "cmaes", "nsga2")


def proposals(sampler=TPE, space=SPACE, behind=0, baseline=None):
    goals = ("minimize",) * len(sampler.resolved_objectives)
    return Proposals(sampler, space, goals, behind=behind, baseline=baseline)


def distance(settings):
    """A score that is best at lr = 1e-3 (and beta = 0.3)."""
    return abs(math.log10(settings["lr"]) + 3) + abs(settings.get("beta", 0.3) - 0.3)


def known_of(settings, sampler=TPE, *, failed=False):
    costs = (1.0 + settings.get("beta", 0.0),) * (len(sampler.resolved_objectives) - 1)
    return Known(settings, None if failed else (distance(settings), *costs))


def history(number, sampler=TPE, space=SPACE):
    known, source = {}, proposals(sampler, space)
    for earlier in range(number):
        known[earlier] = known_of(source.propose(earlier, known), sampler)
    return known


def sequence(sampler, space, number, reopened_at=None, behind=2):
    """Settings of a sweep some of whose proposals are refused, and some of whose trials fail."""
    source, known, refused = proposals(sampler, space, behind), {}, []
    for trial in range(number):
        if trial == reopened_at:
            source = proposals(sampler, space, behind)
        so_far = {earlier: known[earlier] for earlier in range(trial - behind)}
        attempt = 0
        while (settings := source.propose(trial, so_far, refused))["lr"] > 1e-2 and attempt < 7:
            refused.append(
                InfeasibleProposal(number=trial, attempt=attempt, settings=settings, cause="large")
            )
            attempt += 1
            if trial == reopened_at:
                source = proposals(sampler, space, behind)
        known[trial] = known_of(settings, sampler, failed=trial == 4)
    return [its.settings for its in known.values()], refused


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_same_seed_gives_the_same_sequence_also_when_reopened_in_its_middle(name):
    pytest.importorskip("cmaes")
    sampler = SamplerConfig(name=name, seed=3, startup_trials=3)
    space = GRID if name == "grid" else MIXED
    whole = sequence(sampler, space, 17)
    assert whole[1]  # something was refused
    for reopened_at in (2, 7, 13):
        assert sequence(sampler, space, 17, reopened_at) == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trial_is_proposed_again_as_it_was_when_asked_for_out_of_turn(name):
    pytest.importorskip("cmaes")
    sampler = SamplerConfig(name=name, seed=5, startup_trials=3)
    space = GRID if name == "grid" else MIXED
    settings, refused = sequence(sampler, space, 13)
    source = proposals(sampler, space, behind=2)
    for trial in (12, 5, 6, 1):
        known = {
            earlier: known_of(settings[earlier], sampler, failed=earlier == 4)
            for earlier in range(trial - 2)
        }
        before = [proposal for proposal in refused if proposal.number <= trial]
        assert source.propose(trial, known, before) == settings[trial]


@pytest.mark.parametrize("name", NAMES)
def test_other_seed_gives_other_proposals(name):
    pytest.importorskip("cmaes")
    space = GRID if name == "grid" else MIXED
    one, other = (sequence(SamplerConfig(name=name, seed=seed), space, 5)[0] for seed in (3, 4))
    assert one != other


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "tpe", "gp", "cmaes", "nsga2"])
def test_conditional_setting_is_there_where_its_condition_holds_and_only_there(name):
    pytest.importorskip("cmaes")
    sampler = SamplerConfig(name=name, seed=7, startup_trials=3)
    settings, _ = sequence(sampler, MIXED, 19)
    assert {each["loss"] for each in settings} == {"hinge", "rpgan"}
    assert all(("gamma" in each) == (each["loss"] == "rpgan") for each in settings)
    assert all(list(each) == [path for path in MIXED if path in each] for each in settings)


def test_proposals_before_the_startup_is_over_do_not_look_at_scores():
    known = history(4)
    upside_down = {number: Known(its.settings, (-its.values[0],)) for number, its in known.items()}
    assert proposals().propose(4, known) == proposals().propose(4, upside_down)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_model_of_the_scores_comes_closer_to_the_optimum_than_random_draws(name):
    def distances(name):
        found = []
        for seed in range(5):
            sampler = SamplerConfig(name=name, seed=seed, startup_trials=5)
            found += [its.values[0] for its in list(history(23, sampler).values())[13:]]
        return statistics.fmean(found)

    assert distances(name) < 0.7 * distances("random")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cmaes", "nsga2"])
def test_later_generations_are_closer_to_the_optimum(name):
    pytest.importorskip("cmaes")
    space = {"lr": SPACE["lr"], "beta": MIXED["beta"]}
    early, late = [], []
    for seed in range(5):
        sampler = SamplerConfig(
            name=name, seed=seed, startup_trials=1, population_size=7 if name == "nsga2" else None
        )
        found = [distance(its.settings) for its in history(53, sampler, space).values()]
        early += found[:7]
        late += found[-11:]
    assert statistics.fmean(late) < 0.7 * statistics.fmean(early)


def test_goal_turns_the_search_around():
    known = history(29)

    def drawn(goal):
        source = Proposals(TPE, SPACE, (goal,), behind=0)
        return [source.propose(29 + i, known)["lr"] for i in range(7)]

    far, near = (
        statistics.fmean(abs(math.log10(lr) + 3) for lr in drawn(goal))
        for goal in ("maximize", "minimize")
    )
    assert far > near


def test_failed_trials_are_avoided():
    known = {}
    for number in range(17):
        settings = {"lr": 10 ** -(1 + number % 4), "depths": (2, 2) if number % 2 else (1, 1)}
        known[number] = Known(settings, None if settings["depths"] == (2, 2) else (1.0,))
    drawn = [proposals().propose(number, known)["depths"] for number in range(17, 37)]
    assert drawn.count((1, 1)) > 15


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_sampler_that_is_told_of_refusals_keeps_away_from_them(name):
    source = proposals(SamplerConfig(name=name, seed=3, startup_trials=5))
    # Larger is better, as far as there are trials; what is larger still was refused.
    small = [10 ** (-5 + 0.3 * step) for step in range(7)]
    known = {
        number: Known({"lr": lr, "depths": (1, 1)}, (-math.log10(lr),))
        for number, lr in enumerate(small)
    }
    refused = [
        InfeasibleProposal(
            number=2, attempt=attempt, settings={"lr": lr, "depths": (1, 1)}, cause="large"
        )
        for attempt, lr in enumerate(10 ** (-3 + 0.15 * step) for step in range(13))
    ]

    def num_large(told):
        drawn = [source.propose(number, known, told) for number in range(7, 18)]
        return sum(settings["lr"] > 1e-3 for settings in drawn)

    assert num_large(refused) < 0.5 * num_large([])


def test_grid_proposes_every_combination_once_and_then_nothing():
    source = proposals(SamplerConfig(name="grid", seed=2), GRID)
    drawn = [source.propose(number) for number in range(61)]
    assert drawn[60] is None
    assert len({repr(settings) for settings in drawn[:60]}) == 5 * 3 * (1 + 3)


def test_refused_combination_of_a_grid_is_skipped_for_good():
    source = proposals(SamplerConfig(name="grid", seed=2), GRID)
    first, second, third = (source.propose(number) for number in range(3))
    refused = [InfeasibleProposal(number=1, attempt=0, settings=second, cause="no")]
    assert source.propose(1, {}, refused) == third
    assert first not in [source.propose(number, {}, refused) for number in range(1, 59)]
    assert source.propose(59, {}, refused) is None


def test_grid_begins_with_the_baseline_where_it_is_on_the_grid():
    sampler = SamplerConfig(name="grid", seed=2)
    on_it = {"lr": 1e-3, "heads": 3, "loss": "hinge"}
    source = proposals(sampler, GRID, baseline=on_it)
    drawn = [source.propose(number) for number in range(60)]
    assert drawn[0] == on_it
    assert drawn.count(on_it) == 1
    beside = proposals(sampler, GRID, baseline=on_it | {"lr": 2e-3})
    assert beside.propose(0) == proposals(sampler, GRID).propose(0)


def test_first_half_of_a_grid_has_every_value():
    source = proposals(SamplerConfig(name="grid", seed=11), GRID)
    half = [source.propose(number) for number in range(30)]
    assert len({settings["lr"] for settings in half}) == 5
    assert len({settings["heads"] for settings in half}) == 3


def test_baseline_comes_first_and_is_not_proposed_in_place_of_itself():
    baseline = {"lr": 1e-3, "depths": (1, 1)}
    source = proposals(baseline=baseline)
    assert source.propose(0) == baseline
    refused = [InfeasibleProposal(number=0, attempt=0, settings=baseline, cause="no")]
    assert source.propose(0, {}, refused) != baseline


def test_empty_space_proposes_nothing():
    assert proposals(space={}).propose(0) == {}


def test_trial_seed_depends_on_sweep_seed_and_settings_alone():
    settings = {"lr": 1e-3, "depths": (1, 1)}
    turned = dict(reversed(settings.items()))
    assert trial_seed(0, settings) == trial_seed(0, turned)
    assert trial_seed(0, settings) != trial_seed(1, settings)
    assert trial_seed(0, settings) != trial_seed(0, settings | {"lr": 2e-3})

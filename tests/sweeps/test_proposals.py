import math
import statistics

from sweeps.proposals import SamplerConfig, propose, trial_seed
from sweeps.search_space import Domain

SPACE = {
    "lr": Domain(loguniform=(1e-5, 1e-1)),
    "depths": Domain(choice=((1, 1), (2, 2))),
}
TPE = SamplerConfig(name="tpe", seed=3, startup_trials=5)


def scored(settings):
    """A score that is best at lr = 1e-3."""
    return settings, abs(math.log10(settings["lr"]) + 3)


def history(number, sampler=TPE):
    known = {}
    for earlier in range(number):
        known[earlier] = scored(propose(sampler, SPACE, earlier, known, "minimize"))
    return known


def test_same_seed_number_and_history_give_the_same_proposal():
    assert history(13) == history(13)


def test_other_seed_gives_other_proposals():
    other = TPE.model_copy(update={"seed": 4})
    assert propose(TPE, SPACE, 0, {}, "minimize") != propose(other, SPACE, 0, {}, "minimize")


def test_proposals_before_the_startup_is_over_do_not_look_at_scores():
    known = history(4)
    upside_down = {number: (settings, -value) for number, (settings, value) in known.items()}
    assert propose(TPE, SPACE, 4, known, "minimize") == propose(
        TPE, SPACE, 4, upside_down, "minimize"
    )


def test_tpe_comes_closer_to_the_optimum_than_random_draws():
    def distances(name):
        found = []
        for seed in range(7):
            sampler = SamplerConfig(name=name, seed=seed, startup_trials=5)
            found += [value for _, value in list(history(29, sampler).values())[15:]]
        return statistics.fmean(found)

    assert distances("tpe") < 0.7 * distances("random")


def test_goal_turns_the_search_around():
    known = history(29)
    away = [propose(TPE, SPACE, 29 + i, known, "maximize")["lr"] for i in range(7)]
    near = [propose(TPE, SPACE, 29 + i, known, "minimize")["lr"] for i in range(7)]
    far = statistics.fmean(abs(math.log10(lr) + 3) for lr in away)
    assert far > statistics.fmean(abs(math.log10(lr) + 3) for lr in near)


def test_failed_trials_are_avoided():
    known = {}
    for number in range(17):
        settings = {"lr": 10 ** -(1 + number % 4), "depths": (2, 2) if number % 2 else (1, 1)}
        known[number] = (settings, None if settings["depths"] == (2, 2) else 1.0)
    drawn = [propose(TPE, SPACE, number, known, "minimize")["depths"] for number in range(17, 37)]
    assert drawn.count((1, 1)) > 15


def test_empty_space_proposes_nothing():
    assert propose(TPE, {}, 0, {}, "minimize") == {}


def test_trial_seed_depends_on_sweep_seed_and_settings_alone():
    settings = {"lr": 1e-3, "depths": (1, 1)}
    turned = dict(reversed(settings.items()))
    assert trial_seed(0, settings) == trial_seed(0, turned)
    assert trial_seed(0, settings) != trial_seed(1, settings)
    assert trial_seed(0, settings) != trial_seed(0, settings | {"lr": 2e-3})

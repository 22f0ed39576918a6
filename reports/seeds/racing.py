"""Which fresh seeds still decide something: a race among finalists that stops where it may.

Everyone starts with two seeds. After each round of one more seed, a configuration leaves the race
when the leader has beaten it, when no more seeds within the limit are likely to tell the two apart,
or when all of its runs failed. Who has left stays out, and the race is over when nobody is left but
the leader. The second reason can't make a claim false, as it makes none (a futility stop: Lan,
Simon & Halperin 1982, Commun. Stat. C 1(3)); for the first see `looks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.special import betaln, stdtr, stdtrit

from evaluation.metrics import Goal
from reports.seeds.failures import failure_p_value
from reports.seeds.looks import (
    FIRST_ROUND,
    check_confidence,
    interim_error_rate,
    verdict_error_rate,
)
from reports.seeds.noise import Level, Levels, levels
from reports.seeds.pairs import Contrast, best_first, contrasts, corrected, factors
from reports.seeds.scores import SeedScore, SeedScoreError, scores_by_config

HOPELESS = 0.2
"""A pair that all seeds within the limit would tell apart less probably than this is left."""


def next_seeds(
    scores: Sequence[SeedScore],
    configs: Sequence[str],
    goal: Goal,
    *,
    max_seeds: int,
    confidence: float = 0.95,
) -> tuple[tuple[str, int], ...]:
    """The runs of the next round, as configurations and indices of seeds from 0.

    A function of its arguments alone. It goes through the race from its start and stops at the
    first round that lacks a score, so a race that was interrupted goes on as it would have, and
    scores that it did not ask for change nothing.

    Args:
        scores: of all runs that ended, the failed ones included.
        configs: names of the finalists.
        goal: of the objective.
        max_seeds: the limit for each configuration, as the spec has it.
        confidence: of the verdict.

    Returns:
        The runs that lack a score; empty when the race is over. A lone finalist has nobody to
        race, and gets all its seeds at once.

    Raises:
        ValueError: no finalists, one of them twice, no seeds, or a confidence that is none.
        SeedScoreError: a score is of none of the finalists or of a seed beyond the limit, or can't
            be compared.
    """
    check_confidence(confidence)
    by_config = _checked(scores, configs, goal, max_seeds)
    first = max_seeds if len(configs) == 1 else min(FIRST_ROUND, max_seeds)
    racing, num_run = list(configs), {config: first for config in configs}
    while True:
        missing = tuple(
            (config, seed)
            for seed in range(max_seeds)
            for config in configs
            if seed < num_run[config] and seed not in by_config[config]
        )
        round_seeds = max(num_run.values())
        if missing or round_seeds == max_seeds:
            return missing
        seen = {
            config: [by_config[config][seed] for seed in range(num_run[config])]
            for config in configs
        }
        racing = still_racing(seen, racing, goal, max_seeds=max_seeds, confidence=confidence)
        if not racing:
            return ()
        for config in racing:
            num_run[config] = round_seeds + 1


def _checked(
    scores: Sequence[SeedScore], configs: Sequence[str], goal: Goal, max_seeds: int
) -> dict[str, dict[int, SeedScore]]:
    """The scores by configuration and seed."""
    if not configs:
        raise ValueError("no configurations to race; name one or more")
    if twice := sorted({config for config in configs if list(configs).count(config) > 1}):
        raise ValueError(f"configuration {twice[0]} is named twice; name each finalist once")
    if max_seeds < 1:
        raise ValueError(f"max_seeds is {max_seeds}; a configuration needs at least 1")
    found = {
        config: {score.seed: score for score in seeds}
        for config, seeds in scores_by_config(scores, goal).items()
    }
    for config, seeds in found.items():
        if config not in configs:
            raise SeedScoreError(f"there are scores of {config}, which is none of the finalists")
        if beyond := [seed for seed in seeds if not 0 <= seed < max_seeds]:
            raise SeedScoreError(
                f"configuration {config} has a score of seed {beyond[0]}; the seeds are 0 to "
                f"{max_seeds - 1}"
            )
    return {config: found.get(config, {}) for config in configs}


def still_racing(
    scores: Mapping[str, Sequence[SeedScore]],
    racing: Sequence[str],
    goal: Goal,
    *,
    max_seeds: int,
    confidence: float,
) -> list[str]:
    """Those of `racing` that another seed may tell from the leader, and the leader; or nobody.

    The leader is the best of those that race: who left the race can only have been beaten, or be
    as good as the leader that it was compared with.
    """
    known = levels(scores)
    leader = next(level for level in best_first(known, goal) if level.config in racing)
    pairs = contrasts(known, goal)
    p_values = corrected([pair.p_value for pair in pairs], len(scores))
    at_most = interim_error_rate(confidence, max_seeds)
    num_told = sum(p_value <= at_most for p_value in p_values)
    if num_told == len(pairs):
        return []
    error_rate = verdict_error_rate(confidence) / factors(len(scores))[num_told]
    left = [
        pair.worse.config
        for pair, p_value in zip(pairs, p_values, strict=True)
        if pair.better is leader
        and pair.worse.config in racing
        and p_value > at_most
        and pair.worse.num_scores
        and _hope(pair, known, max_seeds, error_rate) >= HOPELESS
    ]
    return [config for config in racing if config == leader.config or config in left] * bool(left)


def _hope(pair: Contrast, known: Levels, max_seeds: int, error_rate: float) -> float:
    """How probably the verdict would tell the pair apart, either way, if both went on to the limit.

    The predictive probability (Spiegelhalter, Freedman & Blackburn 1986, Control. Clin. Trials
    7(1)): what is in the end is what is now and what the seeds to come may change, both unknown as
    far as the seeds so far leave them.
    """
    if not pair.better.degrees or not pair.worse.degrees:
        return 1.0
    if not pair.has_failures:
        return _hope_of_scores(pair, known, max_seeds, error_rate, may_turn=True)
    # With failures the two tests halve the rate, and scores can't turn in favour of who failed.
    by_scores = _hope_of_scores(pair, known, max_seeds, error_rate / 2, may_turn=False)
    return max(by_scores, _hope_of_failures(pair, max_seeds, error_rate / 2))


def _hope_of_scores(
    pair: Contrast, known: Levels, max_seeds: int, error_rate: float, *, may_turn: bool
) -> float:
    better, worse = pair.better, pair.worse
    change = math.sqrt(sum(_change(level, max_seeds) for level in (better, worse)))
    final_error = math.sqrt((better.variance + worse.variance) / max_seeds)
    degrees = sum(level.num_scores > 0 for level in known.by_config.values()) * (max_seeds - 1)
    needed = float(stdtrit(degrees, 1 - error_rate / 2)) * final_error
    now = known.total_degrees
    stays = float(stdtr(now, (pair.difference - needed) / change))
    turns = float(stdtr(now, (-pair.difference - needed) / change))
    return stays + turns if may_turn else stays


def _change(level: Level, max_seeds: int) -> float:
    """Variance of how far the mean moves from now to `max_seeds` scores."""
    return level.variance * (1 / level.num_scores - 1 / max_seeds)


def _hope_of_failures(pair: Contrast, max_seeds: int, error_rate: float) -> float:
    """The same for the test of failures, each run of a configuration failing as likely as before.

    How likely that is is unknown; its prior is Jeffreys', the failures to come beta-binomial.
    """
    ends = [_failures_in_the_end(level, max_seeds) for level in (pair.better, pair.worse)]
    return sum(
        few * many
        for fewer, few in ends[0].items()
        for more, many in ends[1].items()
        if failure_p_value(fewer, max_seeds, more, max_seeds) <= error_rate
    )


def _failures_in_the_end(level: Level, max_seeds: int) -> dict[int, float]:
    """Probabilities of the numbers of failures among `max_seeds` runs."""
    to_come = max_seeds - level.num_seeds
    failing, scored = level.num_failed + 0.5, level.num_scores + 0.5
    return {
        level.num_failed + k: math.comb(to_come, k)
        * math.exp(betaln(failing + k, scored + to_come - k) - betaln(failing, scored))
        for k in range(to_come + 1)
    }

"""The verdict on finalists in one line, as it stands at the top of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from reports.formats import counted, listed, trials_named
from reports.seeds.pairs import MAX_SEEDS_NEEDED, Evidence

if TYPE_CHECKING:  # `verdict` calls this file
    from reports.seeds.verdict import ConfigurationVerdict, PairVerdict


def verdict_sentence(
    configurations: Sequence[ConfigurationVerdict], pairs: Sequence[PairVerdict], confidence: float
) -> str:
    """Who beats whom, who can't be told apart and how many seeds would do, and who failed.

    `Trial 0002 beats 0005 and 0007 (95%); trials 0002 and 0004 can't be told apart with 3 seeds;
    about 7 would do`. It speaks of the leader, and of others where that adds to it; the rest is in
    the pairs. Once a run of any has failed, it says that `beats` is about runs that don't.
    """
    if all(c.num_failed == c.num_seeds for c in configurations):
        return "No finalist can be trusted: every run from a fresh seed failed"
    leader = configurations[0]
    if len(configurations) == 1:
        seeds = counted(leader.num_seeds, "fresh seed")
        clauses = [f"Trial {leader.config} is the only finalist, trained from {seeds}"]
        return "; ".join([*clauses, *_failures(configurations)])
    told = [pair for pair in pairs if pair.told_apart]
    beats = {c.config: [p.worse for p in told if p.better == c.config] for c in configurations}
    beaten = beats[leader.config]
    tied = [c for c in configurations[1:] if c.config not in beaten]
    among = " among runs that don't fail" if any(c.num_failed for c in configurations) else ""
    sure = f"({100 * confidence:.4g}%)"
    clauses = []
    for by in get_args(Evidence):
        of = {c: [p.worse for p in told if p.better == c and p.by == by] for c in beats}
        if losers := of[leader.config]:
            also = [c.config for c in tied if set(of[c.config]) >= set(losers)]
            clauses.append(_claim([leader.config, *also], losers, by, sure, among))
    if tied:
        clauses.append(_tie(leader, tied, beats, pairs))
    for rival in tied:
        for by in get_args(Evidence):
            losers = [p.worse for p in told if p.better == rival.config and p.by == by]
            if others := [loser for loser in losers if loser not in beaten]:
                clauses.append(_claim([rival.config], others, by, sure, among))
    text = "; ".join([*clauses, *_failures(configurations)])
    return text[0].upper() + text[1:]


def _claim(
    winners: Sequence[str], losers: Sequence[str], by: Evidence, sure: str, among: str
) -> str:
    is_one = len(winners) == 1
    if by == "failures":
        verb = "fails" if is_one else "fail"
        return f"{_trials(winners)} {verb} less often than {listed(losers)} {sure}"
    verb = "beats" if is_one else "beat"
    return f"{_trials(winners)} {verb} {listed(losers)} {sure}{among}"


def _tie(
    leader: ConfigurationVerdict,
    tied: Sequence[ConfigurationVerdict],
    beats: dict[str, list[str]],
    pairs: Sequence[PairVerdict],
) -> str:
    names = [c.config for c in tied]
    is_mutual = not any(set(beats[name]) & set(names) for name in names)
    seeds = sorted({c.num_seeds for c in (leader, *tied)})
    spent = counted(seeds[0], "seed")
    if len(seeds) > 1:
        spent = f"{seeds[0]} {'to' if len(seeds) > 2 else 'and'} {seeds[-1]} seeds"
    if is_mutual:
        text = f"{_trials([leader.config, *names])} can't be told apart with {spent}"
    else:
        text = f"{_trials([leader.config])} can't be told apart from {listed(names)} with {spent}"
    if all(c.num_seeds - c.num_failed < 2 for c in (leader, *tied)):
        return f"{text}, which says nothing of the spread between seeds; 2 or more would"
    needed = {p.worse: p.seeds_needed for p in pairs if p.better == leader.config}
    return f"{text}; {_needed(leader, tied, needed)}"


def _needed(
    leader: ConfigurationVerdict,
    tied: Sequence[ConfigurationVerdict],
    needed: dict[str, int | None],
) -> str:
    """How many seeds would tell the leader from each, the fewest first."""
    enough = sorted((n, c.config) for c in tied if (n := needed[c.config]) is not None)
    if not enough:
        return f"by what they show, {MAX_SEEDS_NEEDED:,} would not do"
    if len(tied) == 1:
        return f"about {_about(enough[0][0])} would do"
    parts = [f"about {_about(enough[0][0])} would tell {leader.config} from {enough[0][1]}"]
    parts += [f"about {_about(num_seeds)} from {name}" for num_seeds, name in enough[1:]]
    if never := [c.config for c in tied if needed[c.config] is None]:
        parts.append(f"not even {MAX_SEEDS_NEEDED:,} from {listed(never)}")
    return ", ".join(parts)


def _about(num_seeds: int) -> str:
    """Two digits are all such an estimate has."""
    digits = len(str(num_seeds))
    return f"{round(num_seeds, 2 - digits) if digits > 2 else num_seeds:,}"


def _failures(configurations: Sequence[ConfigurationVerdict]) -> list[str]:
    return [
        f"{_trials([c.config])} failed with {c.num_failed} of {counted(c.num_seeds, 'seed')}"
        for c in configurations
        if c.num_failed
    ]


def _trials(names: Sequence[str]) -> str:
    """Trials within a sentence: `trial 0004`, `trials 0004 and 0007`."""
    text = trials_named(names)
    return text[0].lower() + text[1:]

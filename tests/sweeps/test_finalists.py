"""Finalists without Ray: who they are, from which seeds they run, what a kill costs."""

import itertools
import math
import random

import pytest

from evaluation.evaluator import Evaluator
from evaluation.protocol import ProtocolMismatchError
from reports import race
from reports.records import FaultKind, Measurement, RungScores, TrialState
from reports.run_folder import RunFolder
from reports.seeds.verdict import judge
from reports.taken_scores import taken_score
from sweeps.comparable import check_scoring
from sweeps.faults import Loss
from sweeps.final_scoring import describe_finalists, evaluator_under, final_protocols
from sweeps.finalists import fresh_seed
from sweeps.ledger import Ledger
from sweeps.proposals import trial_seed
from sweeps.spec import load_spec
from sweeps.trial import TrialReport, run_trial
from transgan.sampling import seeded_images
from transgan.training.checkpoint import load_snapshot

OBJECTIVE = "fd_digits_classifier"
TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping={name: none, grace_kimg: 0.1}",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=4",
)
SEARCH = {0: 5.0, 1: 3.0, 2: 4.0, 3: 2.0}


def spec_with(*overrides):
    return load_spec("digits", (*TINY, "finalists={count: 2, seeds: 3}", *overrides))[1]


@pytest.fixture
def spec():
    return spec_with()


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return new_run(tmp_path / "mine")


def new_run(path):
    run = RunFolder(path)
    run.trials.mkdir(parents=True)
    return run


def open_ledger(spec, run, evaluator, concurrent=2):
    return Ledger(
        spec,
        run,
        objective=OBJECTIVE,
        concurrent=concurrent,
        device="cpu",
        finalists=describe_finalists(spec, evaluator),
    )


def scores_at(kimg, value, sha256, num_images=101):
    measured = Measurement(name=OBJECTIVE, value=value, num_images=num_images)
    return RungScores(
        kimg=kimg, measurements=(measured,), fakes_path="f.png", protocol_sha256=sha256
    )


def finish(ledger, task, value, state=TrialState.COMPLETED):
    """What a worker writes and says that trains the trial of `task` to its end."""
    folder = ledger.run.trial(task.trial)
    sha256 = ledger.finalists.plan.scoring.sha256 if task.finalist else None
    for rung, kimg in enumerate(task.rungs):
        record = folder.read()
        is_last = rung + 1 == len(task.rungs)
        changes = {"state": state if is_last else TrialState.RUNNING, "kimg": kimg}
        if not (is_last and state is not TrialState.COMPLETED):
            changes["scores"] = (*record.scores, scores_at(kimg, value, sha256))
        folder.write(record.model_copy(update=changes))
        scored = rung if "scores" in changes else None
        report = TrialReport(kimg=kimg, state=changes["state"], rung=scored, value=value)
        if ledger.hear(task.trial, report):
            return


def search(ledger, values=SEARCH, **states):
    """Run the search to its end."""
    while ledger.num_left:
        task = ledger.next_task()
        state = states.get(f"trial_{task.number}", TrialState.COMPLETED)
        finish(ledger, task, values[task.number], state)


def race_all(ledger, value=lambda task: 1.0):
    """Run the finalists to the end of their race, one after the other; their names in order."""
    names = []
    while True:
        try:
            task = ledger.next_task()
        except StopIteration:
            return names
        names.append(task.trial)
        finish(ledger, task, value(task))


def test_best_completed_trials_run_again_when_the_search_has_ended(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    assert race_all(ledger) == ["0003-s0", "0001-s0", "0003-s1", "0001-s1", "0003-s2", "0001-s2"]
    assert ledger.is_over
    record = run.trial("0001-s2").read()
    assert (record.finalist.of, record.finalist.seed_index) == ("0001", 2)
    assert record.settings == run.trial("0001").read().settings


def test_finalists_wait_for_the_last_trial_of_the_search(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator, concurrent=4)
    tasks = [ledger.next_task() for _ in range(4)]
    for task in tasks[:3]:
        finish(ledger, task, 1.0)
        assert ledger.next_task() is None
        assert not ledger.is_over
    finish(ledger, tasks[3], 0.5)
    assert ledger.next_task().trial == "0003-s0"


def test_trial_that_was_stopped_early_or_failed_is_no_finalist_and_it_is_said(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(
        ledger,
        trial_1=TrialState.DIVERGED,
        trial_2=TrialState.FAILED,
        trial_3=TrialState.STOPPED_EARLY,
    )
    assert ledger.next_task().trial == "0000-s0"
    assert [record.trial for record in ledger.finalists.chosen] == ["0000"]
    assert ledger.finalists.note.startswith("1 of 2 finalists, since no more trials completed")


def test_search_in_which_nothing_completed_ends_without_finalists(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger, **{f"trial_{number}": TrialState.DIVERGED for number in range(4)})
    assert race_all(ledger) == []
    assert ledger.is_over
    assert ledger.finalists.note.startswith("0 of 2 finalists")


def test_finalist_that_scores_badly_is_not_stopped_early(run, evaluator):
    spec = spec_with("early_stopping={name: asha, grace_kimg: 0.1, reduction_factor: 2}")
    ledger = open_ledger(spec, run, evaluator)
    while ledger.num_left:
        task = ledger.next_task()
        finish(ledger, task, SEARCH[task.number])
    task = ledger.next_task()
    assert task.rungs == (0.3,)
    report = TrialReport(kimg=0.1, state=TrialState.RUNNING, value=1e9)
    assert not ledger.hear(task.trial, report)
    assert run.trial(task.trial).read().state is TrialState.RUNNING


def test_fresh_seeds_differ_from_each_other_and_from_the_search_and_repeat(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    names = race_all(ledger)
    seeds = {name: run.trial(name).read().seed for name in names}
    seeds |= {name: run.trial(name).read().seed for name in ("0001", "0003")}
    assert len(set(seeds.values())) == 8
    settings = dict(run.trial("0001").read().settings)
    assert [seeds[f"0001-s{index}"] for index in range(3)] == [
        fresh_seed(spec.sampler.seed, settings, index) for index in range(3)
    ]
    assert fresh_seed(spec.sampler.seed + 1, settings, 0) != seeds["0001-s0"]


def test_fresh_seed_that_would_be_the_searchs_own_is_passed_over(monkeypatch):
    settings = {"generator.num_heads": 2}
    first, second = (fresh_seed(0, settings, index) for index in (0, 1))
    monkeypatch.setattr("sweeps.finalists.trial_seed", lambda sweep_seed, settings: first)
    assert fresh_seed(0, settings, 0) == second


def in_rounds(*rounds):
    """A race that asks for these rounds, each once the one before has ended."""

    def next_seeds(scores, configs, goal, *, max_seeds, confidence=0.95):
        done = {(score.config, score.seed) for score in scores}
        asked = set()
        for pairs in rounds:
            if not done > asked | set(pairs) and done != asked | set(pairs):
                return tuple(pairs)
            asked |= set(pairs)
        return ()

    return next_seeds


ROUNDS = ([("0003", 0), ("0001", 0)], [("0003", 1), ("0001", 1)], [("0001", 2)])


def test_next_round_waits_for_all_runs_of_this_one(spec, run, evaluator, monkeypatch):
    monkeypatch.setattr(race, "next_seeds", in_rounds(*ROUNDS))
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    first, second = ledger.next_task(), ledger.next_task()
    assert ledger.next_task() is None
    finish(ledger, second, 1.0)
    assert ledger.next_task() is None
    finish(ledger, first, 1.0)
    assert ledger.next_task().trial == "0003-s1"


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", range(7))
def test_sweep_killed_amid_its_finalists_goes_on_with_the_same_runs_and_repeats_none(
    spec, tmp_path, evaluator, monkeypatch, killed_after
):
    """Kills by opening a new ledger on the folder, with one run on its way and none told of it."""
    monkeypatch.setattr(race, "next_seeds", in_rounds(*ROUNDS))

    def sweep(name, killed_after):
        run = new_run(tmp_path / name)
        ledger = open_ledger(spec, run, evaluator)
        search(ledger)
        finished = []
        for step in itertools.count():
            if step == killed_after:
                lost = ledger.next_task() if not ledger.is_over else None
                ledger = open_ledger(spec, run, evaluator)
                if lost is not None:
                    assert run.trial(lost.trial).read().state is TrialState.RUNNING
            try:
                task = ledger.next_task()
            except StopIteration:
                return finished, {r.trial: r.seed for r in ledger.finalists.records.values()}
            finished.append(task.trial)
            finish(ledger, task, 1.0)

    finished, seeds = sweep("broken", killed_after)
    assert (finished, seeds) == sweep("whole", None)
    assert finished == ["0003-s0", "0001-s0", "0003-s1", "0001-s1", "0001-s2"]


def drawn_score(task):
    """A run's score: of its configuration and seed alone, with a noise that makes a race of it."""
    of, index = task.finalist.of, task.finalist.seed_index
    return SEARCH[int(of)] * math.exp(random.Random(f"{of} {index}").gauss(0, 0.25))


def test_race_killed_at_every_run_ends_with_the_same_runs_verdict_and_sentence(tmp_path, evaluator):
    """Two workers; killed before each end of a run, and in the broken sweep the later run ends."""
    spec = spec_with("finalists={count: 3, seeds: 5}")
    goal = "minimize"

    def sweep(name, *, is_broken):
        run = new_run(tmp_path / name)
        ledger = open_ledger(spec, run, evaluator)
        search(ledger)
        under_way, most_under_way = [], 0
        while not ledger.is_over:
            if is_broken:
                ledger, under_way = open_ledger(spec, run, evaluator), []
                ledger.is_over  # noqa: B018  (chooses the finalists)
            while len(under_way) < 2 and (task := next_of(ledger)) is not None:
                under_way.append(task)
            most_under_way = max(most_under_way, len(under_way))
            ended = under_way.pop(-1 if is_broken else 0)
            finish(ledger, ended, drawn_score(ended))
        assert most_under_way == 2
        records = sorted(run.read_finalists(), key=lambda record: record.trial)
        scores = race.seed_scores(records, OBJECTIVE, ledger.finalists.plan.scoring, goal)
        seeds = [(record.trial, record.seed, record.state) for record in records]
        return seeds, judge(scores, goal)

    def next_of(ledger):
        try:
            return ledger.next_task()
        except StopIteration:
            return None

    whole, broken = sweep("whole", is_broken=False), sweep("broken", is_broken=True)
    assert broken == whole
    seeds, verdict = whole
    # A race in which somebody left before others, and something was claimed.
    assert 6 < len(seeds) < 15
    assert "beats" in verdict.sentence


def test_slowest_runs_of_a_round_go_first(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    slow = run.trial("0001").read()
    cost = slow.cost.model_copy(update={"train_seconds": 9.0})
    run.trial("0001").write(slow.model_copy(update={"cost": cost}))
    again = open_ledger(spec, run, evaluator)
    assert race_all(again)[:4] == ["0001-s0", "0001-s1", "0003-s0", "0003-s1"]


def test_interruption_marks_runs_on_their_way_and_they_go_on_first(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    task = ledger.next_task()
    ledger.interrupt()
    assert run.trial(task.trial).read().state is TrialState.INTERRUPTED
    assert not ledger.is_over
    assert open_ledger(spec, run, evaluator).next_task() == task


def test_lost_run_has_failed_counts_and_is_not_run_again(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    task = ledger.next_task()
    ledger.lost(task.trial, Loss(FaultKind.ERROR, "RuntimeError: the disk is on fire"))
    record = run.trial(task.trial).read()
    assert (record.state, record.cause) == (TrialState.FAILED, "RuntimeError: the disk is on fire")
    assert task.trial not in race_all(open_ledger(spec, run, evaluator))
    plan = ledger.finalists.plan
    (score,) = race.seed_scores([record], OBJECTIVE, plan.scoring, "minimize")
    assert score.value == float("inf")
    (score,) = race.seed_scores([record], OBJECTIVE, plan.scoring, "maximize")
    assert score.value == -float("inf")


def test_search_does_not_see_finalist_runs(spec, run, evaluator):
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    race_all(ledger)
    again = open_ledger(spec, run, evaluator)
    assert set(again.records) == {0, 1, 2, 3}
    assert [record.trial for record in run.read_trials()] == ["0000", "0001", "0002", "0003"]
    assert len(run.read_finalists()) == 6
    assert len(again._study.study.trials) == 4


def test_longer_search_chooses_anew_and_keeps_the_runs_that_there_are(tmp_path, run, evaluator):
    ledger = open_ledger(spec_with(), run, evaluator)
    search(ledger)
    race_all(ledger)
    longer = open_ledger(spec_with("budget.trials=5"), run, evaluator)
    search(longer, {4: 2.5})
    assert race_all(longer) == ["0004-s0", "0004-s1", "0004-s2"]
    assert [record.trial for record in longer.finalists.chosen] == ["0003", "0004"]


def test_score_of_another_number_of_images_is_not_taken_for_a_finalists(run, evaluator):
    """Of two ways in which a run was scored, the one that is asked for is found by its protocol."""
    plan = describe_finalists(spec_with("finalists.num_images=307"), evaluator)
    assert (plan.scoring.num_images, plan.search_sized_scoring.num_images) == (307, 101)
    spec = spec_with("finalists.num_images=307")
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    task = ledger.next_task()
    folder = run.trial(task.trial)
    both = (
        scores_at(0.3, 7.0, plan.scoring.sha256, 307),
        scores_at(0.3, 8.0, plan.search_sized_scoring.sha256, 101),
    )
    for scores, final, search_sized in (
        (both, 7.0, 8.0),
        (both[::-1], 7.0, 8.0),
        (both[1:], None, 8.0),
    ):
        record = folder.read().model_copy(update={"state": TrialState.COMPLETED, "scores": scores})
        taken = race.finalist_score(record, OBJECTIVE, plan.scoring)
        assert (taken.value if taken else None) == final
        assert taken_score(record, OBJECTIVE, plan.search_sized_scoring).value == search_sized


def test_resume_that_would_score_finalists_in_another_way_is_refused(run, evaluator):
    ledger = open_ledger(spec_with(), run, evaluator)
    search(ledger)
    race_all(ledger)
    spec = spec_with("finalists.num_images=307")
    plan = describe_finalists(spec, evaluator)
    with pytest.raises(
        ProtocolMismatchError, match=r"0001-s0 was scored in another way.*num_images"
    ):
        check_scoring(run, spec.evaluation, evaluator.record, plan)
    check_scoring(run, spec.evaluation, evaluator.record, ledger.finalists.plan)


def test_final_protocol_has_fresh_latents_and_the_same_extractor_and_reference(spec, evaluator):
    (protocol,) = final_protocols(spec)
    assert protocol.seed != spec.evaluation.seed
    assert protocol.model_copy(update={"seed": spec.evaluation.seed}) == spec.evaluation
    final = evaluator_under(evaluator, protocol)
    assert final.extractor is evaluator.extractor
    assert final.reference is evaluator.reference
    assert final.record.scoring.reference_sha256 == evaluator.record.scoring.reference_sha256
    assert final.record.scoring.sha256 != evaluator.record.scoring.sha256


@pytest.mark.slow
def test_finalist_trained_for_real_is_scored_at_its_end_in_both_sizes(
    run, data, evaluator: Evaluator
):
    spec = spec_with("finalists.num_images=211")
    ledger = open_ledger(spec, run, evaluator)
    search(ledger)
    task = ledger.next_task()
    reports = list(run_trial(task, data, evaluator, run.trial(task.trial)))
    for report in reports:
        ledger.hear(task.trial, report)
    record = run.trial(task.trial).read()
    assert record.state is TrialState.COMPLETED
    assert record.finalist == task.finalist
    assert [rung.kimg for rung in record.scores] == [0.3, 0.3]
    plan = ledger.finalists.plan
    taken = race.finalist_score(record, OBJECTIVE, plan.scoring)
    assert reports[-1].value == taken.value
    final, search_sized = record.scores
    assert final.measurement(OBJECTIVE).num_images == 211
    assert search_sized.measurement(OBJECTIVE).num_images == 101
    assert [measurement.name for measurement in search_sized.measurements] == [OBJECTIVE]
    generator, _ = load_snapshot(run.trial(task.trial).snapshot)
    protocol = final_protocols(spec)[0]
    again = evaluator_under(evaluator, protocol)
    scores = again.score_generator(seeded_images(generator, protocol.seed))
    assert scores[OBJECTIVE].value == pytest.approx(taken.value, rel=1e-10)
    assert record.seed != trial_seed(spec.sampler.seed, record.settings)

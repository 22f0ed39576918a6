"""Whole sweeps without Ray: scripted scores, killed at each report, as good as unbroken ones."""

import math
import os
import random

import optuna
import pytest

from reports.judgements import Judgement, Verdict, note_judgement, read_judgements
from reports.records import FaultKind, Measurement, RungScores, TrialState
from reports.run_folder import RunFolder
from sweeps.faults import Loss
from sweeps.ledger import Ledger
from sweeps.spec import SpecError, load_spec
from sweeps.trial import TrialReport

OBJECTIVE = "fd_digits_classifier"
TINY = (
    "training.total_kimg=18",
    "training.batch_size=16",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "search={optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-2]}, "
    "loss.name: {choice: [nonsaturating, hinge]}}",
    "sampler={name: tpe, seed: 3, startup_trials: 3}",
)
RULES = ("asha", "hyperband", "median")
CRASHED = "crashed"


@pytest.fixture(autouse=True)
def quick(monkeypatch, one_cost_a_network):
    """What makes no difference here, and takes time: disks and the journal."""
    from sweeps import study_mirror

    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(
        study_mirror, "JournalStorage", lambda backend: optuna.storages.InMemoryStorage()
    )


def spec_for(rule, trials=9, *more):
    stopping = f"early_stopping={{name: {rule}, grace_kimg: 2, reduction_factor: 3}}"
    return load_spec("digits", (*TINY, stopping, f"budget.trials={trials}", *more))[1]


def new_run(path):
    run = RunFolder(path)
    run.trials.mkdir(parents=True)
    return run


class Workers:
    """Processes that train without training: a trial's scores are a function of its settings."""

    def __init__(self, run, spec, concurrent, cuts=(), heard=True, set_back=False):
        self.run, self.spec, self.concurrent = run, spec, concurrent
        self.cuts, self.heard, self.set_back = cuts, heard, set_back
        self.num_reports = 0
        self.kimg = {}
        """Of the trials that run; their process starts anew from their last rung after a crash."""
        self.turn = random.Random(5)
        self._open()

    def run_all(self):
        """The sweep from start to end; its ledger is opened anew at the reports of `cuts`."""
        while True:
            while len(self.kimg) < self.concurrent:
                try:
                    task = self.ledger.next_task()
                except StopIteration:
                    if not self.kimg:
                        return self.ledger
                    break
                if task is None:
                    break
                self.kimg[task.number] = self._last_rung(task.number)
            self._step(self.turn.choice(sorted(self.kimg)))

    def _step(self, number):
        """Train a trial for half of the way to its next rung, or score it there, and report."""
        rungs, kimg = self.spec.rungs, self.kimg[number]
        record = self.run.trial(f"{number:04d}").read()
        rung = len(record.scores)
        start = rungs[rung - 1] if rung else 0.0
        # Past a quarter, past halfway, and there.
        stops = [start + (rungs[rung] - start) * share for share in (0.25, 0.6, 1.0)]
        self.kimg[number] = next(stop for stop in stops if stop > kimg)
        report = TrialReport(kimg=self.kimg[number], state=TrialState.RUNNING)
        if self.kimg[number] == rungs[rung]:
            report = self._score(record, rung)
        if self._report(number, report) is not CRASHED and self._is_over(number):
            del self.kimg[number]

    def _score(self, record, rung):
        value = score_of(record.settings, rung)
        measured = Measurement(name=OBJECTIVE, value=value, standard_error=0.05, num_images=101)
        scores = RungScores(
            kimg=self.spec.rungs[rung], measurements=(measured,), fakes_path="fakes.png"
        )
        last = rung == len(self.spec.rungs) - 1
        state = TrialState.COMPLETED if last else TrialState.RUNNING
        changes = {"scores": (*record.scores, scores), "state": state, "kimg": scores.kimg}
        self.run.trial(record.trial).write(record.model_copy(update=changes))
        return TrialReport(kimg=scores.kimg, state=state, rung=rung, value=value)

    def _report(self, number, report):
        self.num_reports += 1
        cut = self.num_reports in self.cuts
        if cut and not self.heard:
            return self._crash(number)
        self.ledger.hear(f"{number:04d}", report)
        return self._crash(number) if cut else None

    def _crash(self, number):
        """A new driver, and trials that go on from their checkpoints.

        Checkpoints are where they were, but for `set_back`: then they are at the last rung.
        """
        self._open()
        running = [n for n in self.kimg if not self._is_over(n)]
        self.kimg = {n: self._last_rung(n) if self.set_back else self.kimg[n] for n in running}
        assert sorted(self.ledger.next_task().number for _ in running) == sorted(running)
        return CRASHED

    def _open(self):
        self.ledger = Ledger(
            self.spec, self.run, objective=OBJECTIVE, concurrent=self.concurrent, device="cpu"
        )

    def _is_over(self, number):
        return self.run.trial(f"{number:04d}").read().state.is_final

    def _last_rung(self, number):
        num_scores = len(self.run.trial(f"{number:04d}").read().scores)
        return self.spec.rungs[num_scores - 1] if num_scores else 0.0


def score_of(settings, rung):
    """Falls as training goes on; best at a rate of 1e-3; the rungs disagree a little."""
    rate = settings["optimizer.generator_lr"]
    noise = random.Random(f"{rate}/{rung}").uniform(0, 0.3)
    return abs(math.log10(rate) + 3) + (settings["loss.name"] == "hinge") * 0.2 + noise - rung


def outcome(ledger):
    """All that a crash must not change: proposals, ends, scores, and what was said of whom."""
    records = [ledger.run.trial(path.name).read() for path in folders(ledger.run)]
    trials = [(r.settings, r.seed, r.state, [s.kimg for s in r.scores]) for r in records]
    return trials, [judgement.model_dump() for judgement in read_judgements(ledger.run)]


def folders(run):
    return sorted(run.trials.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("concurrent", [1, 3])
def test_sweep_killed_at_every_report_decides_and_proposes_as_the_unbroken_one(
    rule, concurrent, tmp_path
):
    spec = spec_for(rule)
    whole = Workers(new_run(tmp_path / "whole"), spec, concurrent)
    expected = outcome(whole.run_all())
    assert {TrialState.COMPLETED, TrialState.STOPPED_EARLY} == {trial[2] for trial in expected[0]}
    said = {judgement["verdict"] for judgement in expected[1]}
    assert {Verdict.GOES_ON, Verdict.SETTLED, Verdict.STOPPED} <= said
    for heard in (True, False):  # killed after it heard of the report, or before
        run = new_run(tmp_path / f"broken-{heard}")
        broken = Workers(run, spec, concurrent, range(whole.num_reports + 1), heard)
        trials, judgements = outcome(broken.run_all())
        assert trials == expected[0]
        if heard:
            assert judgements == expected[1]


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_sweep_of_one_trial_at_a_time_decides_alike_though_crashes_set_its_trials_back(
    rule, tmp_path
):
    spec = spec_for(rule)
    whole = Workers(new_run(tmp_path / "whole"), spec, 1)
    expected = outcome(whole.run_all())
    for cut_at in range(2, whole.num_reports, 9):
        for heard in (True, False):
            run = new_run(tmp_path / f"cut{cut_at}-{heard}")
            broken = Workers(run, spec, 1, (cut_at,), heard, set_back=True)
            assert outcome(broken.run_all())[0] == expected[0], cut_at


@pytest.mark.slow
def test_rules_differ_in_whom_they_stop(tmp_path):
    kept = {}
    for rule in (*RULES, "none"):
        ledger = Workers(new_run(tmp_path / rule), spec_for(rule, 17), 1).run_all()
        states = [record.state for record in ledger.records.values()]
        kept[rule] = states.count(TrialState.COMPLETED)
    assert kept["none"] == 17
    assert kept["asha"] < kept["hyperband"] < 17
    assert kept["asha"] < kept["median"] < 17


def test_tied_trial_goes_on_and_that_is_written_down(tmp_path):
    spec = spec_for("asha", 2, "early_stopping.slack_factor=0")
    run = new_run(tmp_path / "run")
    workers = Workers(run, spec, 2)
    for _ in range(2):
        workers.ledger.next_task()
    assert not say(workers, 0, 1.0)
    assert not say(workers, 1, 1.0 + 0.99 * math.hypot(0.05, 0.05))
    assert read_judgements(run)[-1] == Judgement(
        number=1,
        rung=0,
        kimg=2,
        verdict=Verdict.TIED,
        value=1.0 + 0.99 * math.hypot(0.05, 0.05),
        bar=1.0,
        num_others=1,
    )


@pytest.mark.parametrize(("slack", "reach"), [(0, math.hypot(0.05, 0.05)), (0.1, 0.1)])
def test_trial_not_tied_stops(tmp_path, slack, reach):
    spec = spec_for("asha", 2, f"early_stopping.slack_factor={slack}")
    workers = Workers(new_run(tmp_path / "run"), spec, 2)
    for _ in range(2):
        workers.ledger.next_task()
    assert not say(workers, 0, 1.0)
    assert say(workers, 1, 1.0 + 1.01 * reach)


def say(workers, number, value, rung=0, error=0.05):
    """Score a trial so and report it; whether it is over."""
    state = write_score(workers, number, value, rung, error)
    report = TrialReport(workers.spec.rungs[rung], state, rung=rung, value=value)
    return workers.ledger.hear(f"{number:04d}", report)


def write_score(workers, number, value, rung=0, error=0.05):
    """Put a score on a trial's record; its state then."""
    run, rungs = workers.run, workers.spec.rungs
    record = run.trial(f"{number:04d}").read()
    taken = Measurement(name=OBJECTIVE, value=value, standard_error=error, num_images=101)
    scores = RungScores(kimg=rungs[rung], measurements=(taken,), fakes_path="fakes.png")
    state = TrialState.COMPLETED if rung == len(rungs) - 1 else TrialState.RUNNING
    changes = {"scores": (*record.scores, scores), "state": state, "kimg": rungs[rung]}
    run.trial(record.trial).write(record.model_copy(update=changes))
    return state


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("rule", [*RULES, "none"])
@pytest.mark.parametrize("rung", [0, 2])
def test_trial_whose_score_is_no_finite_number_ends_at_once_as_diverged(
    value, rule, rung, tmp_path
):
    spec = spec_for(rule, 4)
    run = new_run(tmp_path / "run")
    workers = Workers(run, spec, 4)
    for number in range(4):
        workers.ledger.next_task()
        for earlier in range(rung if number == 0 else 0):
            say(workers, number, 9.0, earlier)
    assert say(workers, 0, value, rung)
    record = run.trial("0000").read()
    assert record.state is TrialState.DIVERGED
    assert record.cause == (
        f"{OBJECTIVE} was {value} at {spec.rungs[rung]:g} kimg, which is no finite number"
    )
    for number in (1, 2, 3):  # and it stands in nobody's way
        assert not say(workers, number, 5.0)
    again = Ledger(spec, run, objective=OBJECTIVE, concurrent=4, device="cpu")
    assert again.records[0].state is TrialState.DIVERGED


def test_trial_of_which_only_the_log_says_that_it_stopped_is_not_trained_on(tmp_path):
    """The driver was killed after its decision, before the trial's record had it."""
    spec = spec_for("asha", 2)
    run = new_run(tmp_path / "run")
    workers = Workers(run, spec, 2)
    for _ in range(2):
        workers.ledger.next_task()
    say(workers, 0, 1.0)
    assert say(workers, 1, 2.0)
    stopped = run.trial("0001").read()
    running = stopped.model_copy(update={"state": TrialState.RUNNING, "ended_at": None})
    run.trial("0001").write(running)
    again = Ledger(spec, run, objective=OBJECTIVE, concurrent=2, device="cpu")
    assert run.trial("0001").read().state is TrialState.STOPPED_EARLY
    assert again.next_task().number == 0


def test_trial_that_was_stopped_stays_so_though_by_what_is_known_later_it_would_go_on(tmp_path):
    spec = spec_for("asha", 9)
    run = new_run(tmp_path / "run")
    workers = Workers(run, spec, 9)
    for _ in range(9):
        workers.ledger.next_task()
    say(workers, 0, 1.0)
    assert say(workers, 1, 2.0)
    for number in range(2, 9):
        say(workers, number, 3.0 + number)
    # Of nine, three go on; it is the second, and others have taken its place.
    again = Ledger(spec, run, objective=OBJECTIVE, concurrent=9, device="cpu")
    assert again.records[1].state is TrialState.STOPPED_EARLY


def test_score_that_a_lost_trial_could_not_report_is_known_as_after_a_resume(tmp_path):
    spec = spec_for("asha", 3)
    run = new_run(tmp_path / "run")
    workers = Workers(run, spec, 1)
    workers.ledger.next_task()
    write_score(workers, 0, 1.0)
    workers.ledger.lost("0000", Loss(FaultKind.ERROR, "ValueError: it broke"))
    workers.ledger.next_task()
    assert say(workers, 1, 2.0)  # by a score that only the record has
    assert run.trial("0001").read().state is TrialState.STOPPED_EARLY
    again = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")
    assert again.value_at(0, 0) == workers.ledger.value_at(0, 0) == 1.0
    assert again.next_task() == workers.ledger.next_task()


def test_half_written_line_is_left_out_and_the_next_stands_for_itself(tmp_path):
    run = new_run(tmp_path / "run")
    first = Judgement(number=0, rung=0, kimg=2.0, verdict=Verdict.GOES_ON, value=math.inf)
    second = Judgement(number=1, rung=0, kimg=2.0, verdict=Verdict.STOPPED, value=3.0, bar=1.0)
    note_judgement(run, first)
    with run.judgements.open("ab") as file:
        file.write(b'{"number": 4, "ru')
    note_judgement(run, second)
    assert read_judgements(run) == [first, second]


@pytest.mark.parametrize("rule", RULES)
def test_rule_with_nothing_to_stop_is_refused(rule):
    with pytest.raises(SpecError, match=r"early_stopping.grace_kimg: 2 is no less .*name: none"):
        spec_for(rule, 3, "training.total_kimg=2")

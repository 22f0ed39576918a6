import math
import os
import random
import re

import optuna
import pytest
import torch

from reports.formats import exploit_text
from reports.records import Exploit, FaultKind, Measurement, RungScores, TrialState
from reports.run_folder import RunFolder
from sweeps import generations, study_mirror
from sweeps.early_stopping import EarlyStopping, Score
from sweeps.faults import Loss
from sweeps.ledger import Ledger
from sweeps.population import PERTURBABLE, perturbed, take_overs
from sweeps.search_space import Domain
from sweeps.spec import SpecError, load_spec
from sweeps.trial import TrialReport, run_trial
from transgan.training.checkpoint import DamagedCheckpointError
from transgan.training.trainer import Trainer

OBJECTIVE = "fd_digits_classifier"
PBT = EarlyStopping(name="pbt", interval_kimg=2)
SPACE = {
    "optimizer.generator_lr": Domain(loguniform=(1e-4, 1e-2)),
    "ema.half_life_kimg": Domain(uniform=(1.0, 3.0)),
}
TINY = (
    "training.total_kimg=8",
    "training.batch_size=16",
    "early_stopping={name: pbt, interval_kimg: 2}",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "search={optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-2]}, "
    "loss.gradient_penalty: {uniform: [0.1, 2.0]}}",
    "sampler={name: random, seed: 3}",
    "budget.trials=5",
)


def spec_with(*overrides):
    return load_spec("digits", (*TINY, *overrides))[1]


def scores(*values, error=0.01):
    return {number: Score(value, error) for number, value in enumerate(values)}


def test_rungs_are_multiples_of_the_interval_and_end_with_training():
    assert PBT.rungs(7) == (2, 4, 6, 7)
    assert PBT.rungs(6) == (2, 4, 6)
    assert not PBT.may_stop(0, PBT.rungs(7), 0, 2.0)


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
def test_worst_quarter_takes_over_from_the_best_quarter(goal, sign):
    known = scores(*(sign * value for value in (5.0, 1.0, 8.0, 3.0, 2.0, 7.0, 6.0, 4.0)))
    found = take_overs(PBT, known, 0, 7, goal)
    assert {one.loser for one in found} == {2, 5}
    assert {one.donor for one in found} <= {1, 4}
    assert take_overs(PBT, dict(reversed(known.items())), 0, 7, goal) == found


def test_every_donor_and_every_direction_is_drawn_at_some_rung():
    known = scores(5.0, 1.0, 8.0, 3.0, 2.0, 7.0, 6.0, 4.0)
    donors = {
        one.donor for rung in range(20) for one in take_overs(PBT, known, rung, 7, "minimize")
    }
    assert donors == {1, 4}
    settings = {"optimizer.generator_lr": 1e-3, "ema.half_life_kimg": 2.0}
    drawn = [perturbed(SPACE, settings, 1.2, rung, 7, 2) for rung in range(20)]
    assert {each["optimizer.generator_lr"] for each in drawn} == {1.2e-3, 8.333e-4}
    assert {each["ema.half_life_kimg"] for each in drawn} == {2.4, 1.667}
    assert drawn == [perturbed(SPACE, settings, 1.2, rung, 7, 2) for rung in range(20)]


def test_perturbed_settings_stay_within_their_domains():
    settings = {"optimizer.generator_lr": 9.9e-3, "ema.half_life_kimg": 1.0}
    drawn = [perturbed(SPACE, settings, 1.5, rung, 7, 2) for rung in range(20)]
    assert {each["optimizer.generator_lr"] for each in drawn} == {1e-2, 6.6e-3}
    assert {each["ema.half_life_kimg"] for each in drawn} == {1.0, 1.5}


def test_trial_that_can_not_be_told_apart_from_the_better_one_keeps_its_training():
    apart = math.hypot(0.3, 0.3)
    near, far = (scores(1.0, 1.0 + share * apart, error=0.3) for share in (0.99, 1.01))
    assert take_overs(PBT, near, 0, 7, "minimize") == ()
    assert take_overs(PBT, far, 0, 7, "minimize") == ((1, 0),)
    exact = PBT.model_copy(update={"tie_standard_errors": 0.0})
    assert take_overs(exact, near, 0, 7, "minimize") == ((1, 0),)
    assert take_overs(exact, scores(1.0, 1.0), 0, 7, "minimize") == ()


def test_one_that_is_left_has_nobody_to_take_over_from():
    assert take_overs(PBT, scores(1.0), 0, 7, "minimize") == ()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampler.name=tpe", r"sampler\.name: tpe proposes by .*set it to random, or .* asha"),
        ("sampler.name=grid", r"sampler\.name: grid"),
        ("budget.trials=1", r"budget\.trials: 1 given, and pbt is a population.*2 or more"),
        ("search={}", r"search: is empty"),
        ("finalists={count: 1, seeds: 2}", r"finalists: .*set finalists to null"),
        ("early_stopping.interval_kimg=9", r"interval_kimg: 9 is no less than training\.total"),
        ("early_stopping={name: pbt, interval_kimg: 0.01}", r"makes 800 rungs of .*raise it"),
        (
            "search={generator.depths: {choice: [[1, 1], [2, 1]]}}",
            r"search\.generator\.depths: a training can't go on with another one.*put a value",
        ),
        ("search={loss.name: {choice: [rpgan, hinge]}}", r"search\.loss\.name: a training can't"),
        (
            "search={optimizer.generator_lr: {choice: [0.001, 0.002]}}",
            r"search\.optimizer\.generator_lr: pbt changes settings by a factor.*loguniform",
        ),
        ("early_stopping={name: pbt}", r"early_stopping.*grace_kimg: missing"),
        ("early_stopping={name: pbt, grace_kimg: 2}", r"pbt needs interval_kimg, such as"),
        (
            "early_stopping={name: pbt, interval_kimg: 2, grace_kimg: 3}",
            r"grace_kimg and reduction_factor have no effect on pbt with",
        ),
        (
            "early_stopping={name: asha, grace_kimg: 2, quantile: 0.2}",
            r"early_stopping: quantile has no effect on asha; leave it out, or set name to pbt",
        ),
        ("early_stopping={name: pbt, interval_kimg: 2, quantile: 0.6}", r"quantile: must be at m"),
    ],
)
def test_what_a_population_can_not_do_is_refused(override, message):
    with pytest.raises(SpecError, match=message):
        spec_with(override)


def test_resolved_spec_can_be_read_again(tmp_path):
    spec = spec_with("early_stopping={name: pbt, interval_kimg: 2, quantile: 0.2}")
    path = tmp_path / "sweep.yaml"
    path.write_text(spec.to_yaml(), encoding="utf-8")
    assert load_spec(str(path))[1] == spec


def test_every_perturbable_setting_can_be_searched():
    bounds = {"optimizer.beta1": [0.1, 0.5], "optimizer.beta2": [0.9, 0.99]}
    for path in PERTURBABLE:
        low, high = bounds.get(path, [0.1, 0.9])
        more = {
            "optimizer.weight_decay": ("training.optimizer.name=adamw",),
            "loss.phi": ("training.loss.name=wgan-gp",),
        }.get(path, ())
        if path == "optimizer.weight_decay":
            more = (*more, "training.optimizer.weight_decay=0.1")
        assert spec_with(f"search={{{path}: {{uniform: [{low}, {high}]}}}}", *more)


# Whole sweeps without Ray: a checkpoint is a text, a score a function of settings and history.


@pytest.fixture
def scripted(monkeypatch, one_cost_a_network):
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(
        study_mirror, "JournalStorage", lambda backend: optuna.storages.InMemoryStorage()
    )
    monkeypatch.setattr(
        generations,
        "adopt_checkpoint",
        lambda source, target, config: target.write_text(source.read_text(), encoding="utf-8"),
    )


class Workers:
    """Trains a population; the ledger is opened anew at each report if it is to be `cut`."""

    def __init__(self, path, spec, concurrent, *, cut=False):
        self.run, self.spec, self.concurrent, self.cut = RunFolder(path), spec, concurrent, cut
        self.run.trials.mkdir(parents=True)
        self.turn = random.Random(1)
        self.working = []
        self.order = []
        """Trials and rungs, as they were scored."""
        self.failing, self.killed = set(), set()
        self.open()

    def open(self):
        self.ledger = Ledger(
            self.spec, self.run, objective=OBJECTIVE, concurrent=self.concurrent, device="cpu"
        )

    def run_all(self):
        while True:
            while len(self.working) < self.concurrent:
                try:
                    task = self.ledger.next_task()
                except StopIteration:
                    assert not self.working  # since Tune never asks again
                    return self.outcome()
                if task is None:
                    assert self.working
                    break
                self.working.append(task)
            self.step(self.working.pop(self.turn.randrange(len(self.working))))
            if self.cut:
                self.open()
                again = [self.ledger.next_task() for _ in self.working]
                assert sorted(t.number for t in again) == sorted(t.number for t in self.working)
                by_number = {task.number: task for task in again}
                self.working = [by_number[task.number] for task in self.working]

    def step(self, task):
        """Train one trial to its next rung, with the settings that it was told."""
        folder = self.run.trial(task.trial)
        record = folder.read()
        rung = len(record.scores)
        if (task.number, rung) in self.failing:
            self.ledger.lost(task.trial, Loss(FaultKind.ERROR, f"it broke at rung {rung}"))
            return
        if (task.number, rung) in self.killed:
            self.killed.remove((task.number, rung))
            self.ledger.lost(task.trial, Loss(FaultKind.WORKER_KILLED, "its process was killed"))
            return
        assert record.settings == task.settings
        assert task.config.optimizer.generator_lr == task.settings["optimizer.generator_lr"]
        assert task.config.seed == record.seed
        past = folder.checkpoint.read_text(encoding="utf-8") if folder.checkpoint.exists() else ""
        assert past.count(";") == rung  # it goes on from as far as all others
        rate = task.settings["optimizer.generator_lr"]
        folder.checkpoint.write_text(f"{past}{rate};", encoding="utf-8")
        value = sum(abs(math.log10(float(each)) + 3) for each in (past + str(rate)).split(";")) / (
            rung + 1
        )
        taken = Measurement(name=OBJECTIVE, value=value, standard_error=0.001, num_images=101)
        kimg = self.spec.rungs[rung]
        scored = RungScores(kimg=kimg, measurements=(taken,), fakes_path="fakes.png")
        last = rung == len(self.spec.rungs) - 1
        state = TrialState.COMPLETED if last else TrialState.RUNNING
        changes = {"scores": (*record.scores, scored), "state": state, "kimg": kimg}
        folder.write(record.model_copy(update=changes))
        self.order.append((task.number, rung))
        running = TrialReport(kimg=kimg - 1, state=TrialState.RUNNING)
        assert not self.ledger.hear(task.trial, running)
        # Every rung ends a worker's stretch.
        assert self.ledger.hear(task.trial, TrialReport(kimg, state, rung=rung, value=value))

    def outcome(self):
        folders = map(self.run.trial, sorted(path.name for path in self.run.trials.iterdir()))
        return [
            (record.settings, record.config, record.state, record.scores, record.exploits)
            for record in (folder.read() for folder in folders)
        ]


@pytest.mark.slow
@pytest.mark.parametrize("concurrent", [1, 3, 5])
def test_population_ends_alike_with_any_number_at_once_and_killed_at_every_report(
    concurrent, tmp_path, scripted
):
    spec = spec_with()
    expected = Workers(tmp_path / "whole", spec, 1).run_all()
    assert {state for _, _, state, _, _ in expected} == {TrialState.COMPLETED}
    assert len({exploit.kimg for *_, exploits in expected for exploit in exploits}) > 1
    assert Workers(tmp_path / "whole again", spec, concurrent).run_all() == expected
    assert Workers(tmp_path / "broken", spec, concurrent, cut=True).run_all() == expected


def test_nobody_goes_beyond_a_rung_before_all_are_there(tmp_path, scripted):
    workers = Workers(tmp_path / "run", spec_with(), 3)
    workers.run_all()
    rungs = [rung for _, rung in workers.order]
    assert rungs == sorted(rungs)
    assert len(rungs) == 5 * 4


@pytest.mark.parametrize("thinks_ahead", [False, True])
def test_population_for_which_nothing_more_can_be_proposed_goes_on_as_it_is(
    thinks_ahead, tmp_path, scripted, monkeypatch
):
    workers = Workers(tmp_path / "run", spec_with(), 3)
    proposer = workers.ledger._proposer
    propose = proposer._feasible

    def no_more_than_three(number, known):
        if number < 3:
            return propose(number, known)
        proposer.ended_because = "there are no more"
        raise StopIteration

    monkeypatch.setattr(proposer, "_feasible", no_more_than_three)
    if thinks_ahead:
        hear = workers.ledger.hear
        monkeypatch.setattr(
            workers.ledger, "hear", lambda *news: (workers.ledger.think_ahead(), hear(*news))[1]
        )
    states = [state for _, _, state, _, _ in workers.run_all()]
    assert states == [TrialState.COMPLETED] * 3


def test_exploit_is_on_the_record_with_old_and_new_settings(tmp_path, scripted):
    workers = Workers(tmp_path / "run", spec_with(), 1)
    workers.run_all()
    records = {record.trial: record for record in workers.run.read_trials()}
    exploits = [(record, exploit) for record in records.values() for exploit in record.exploits]
    assert exploits
    for record, exploit in exploits:
        assert exploit.of in records
        assert exploit.of != record.trial
        assert exploit.kimg in workers.spec.rungs[:-1]
        assert exploit.old_settings != exploit.new_settings
    for record in records.values():
        if record.exploits:
            assert record.exploits[-1].new_settings == record.settings
        rate = record.config["optimizer"]["generator_lr"]
        assert rate == record.settings["optimizer.generator_lr"]


def test_killed_between_checkpoint_and_record_it_takes_over_once(tmp_path, scripted, monkeypatch):
    spec = spec_with()
    expected = Workers(tmp_path / "whole", spec, 1).run_all()

    class KilledError(BaseException):
        pass

    copy = generations.adopt_checkpoint

    def killed(source, target, config):
        copy(source, target, config)
        raise KilledError

    workers, num_killed = Workers(tmp_path / "run", spec, 1), 0
    while True:
        monkeypatch.setattr(generations, "adopt_checkpoint", killed)
        try:
            found = workers.run_all()
            break
        except KilledError:
            num_killed += 1
            monkeypatch.setattr(generations, "adopt_checkpoint", copy)
            workers.open()
            workers.step(workers.ledger.next_task())
    assert num_killed > 0
    assert found == expected


def test_trial_that_was_lost_is_not_waited_for(tmp_path, scripted):
    workers = Workers(tmp_path / "run", spec_with(), 2)
    workers.failing = {(1, 1), (3, 0)}
    found = workers.run_all()
    states = [state for _, _, state, _, _ in found]
    assert states.count(TrialState.FAILED) == 2
    assert states.count(TrialState.COMPLETED) == 3
    broken = Workers(tmp_path / "broken", spec_with(), 2, cut=True)
    broken.failing = workers.failing
    assert broken.run_all() == found


def test_trial_whose_process_was_killed_is_started_again_and_all_is_as_if_it_had_not_been(
    tmp_path, scripted
):
    expected = Workers(tmp_path / "whole", spec_with(), 2).run_all()
    workers = Workers(tmp_path / "run", spec_with(), 2)
    workers.killed = {(0, 0), (1, 1), (4, 3)}
    assert workers.run_all() == expected
    assert not workers.killed


def test_trial_that_was_to_take_over_from_a_damaged_checkpoint_fails_with_that_cause(
    tmp_path, scripted, monkeypatch
):
    def damaged(source, target, config):
        raise DamagedCheckpointError(f"{source}: not a whole safetensors file")

    monkeypatch.setattr(generations, "adopt_checkpoint", damaged)
    workers = Workers(tmp_path / "run", spec_with(), 1)
    workers.run_all()
    failed = [r for r in workers.run.read_trials() if r.state is TrialState.FAILED]
    assert failed
    for record in failed:
        assert re.match(r"could not take over from 000\d: .*not a whole", record.cause)
        assert record.exploits == ()


def test_exploit_reads_as_a_line():
    exploit = Exploit(
        of="0003",
        kimg=12,
        old_settings={"optimizer.generator_lr": 0.002},
        new_settings={"optimizer.generator_lr": 0.0012},
    )
    assert (
        exploit_text(exploit) == "took over 0003 at 12 kimg: optimizer.generator_lr 0.002 → 0.0012"
    )


@pytest.mark.slow
def test_trial_that_took_over_trains_on_from_the_others_weights_with_its_own_settings_and_seed(
    tmp_path, data, evaluator
):
    """For real: two trials trained to a rung, an exchange, and the first steps behind it."""
    spec = spec_with(
        "training.total_kimg=0.2",
        "early_stopping={name: pbt, interval_kimg: 0.1, quantile: 0.5, tie_standard_errors: 0}",
        "budget.trials=2",
    )
    run = RunFolder(tmp_path / "run")
    run.trials.mkdir(parents=True)
    ledger = Ledger(spec, run, objective=OBJECTIVE, concurrent=1, device="cpu")

    def train(task):
        reports = run_trial(task, data, evaluator, run.trial(task.trial))
        for report in reports:
            if ledger.hear(task.trial, report):
                reports.close()

    train(ledger.next_task())
    train(ledger.next_task())
    task = ledger.next_task()
    loser = next(record for record in ledger.records.values() if record.exploits)
    donor = ledger.records[int(loser.exploits[0].of)]
    tasks = {each.trial: each for each in (task, ledger.next_task())}
    trainers = {}
    for record in (loser, donor):
        config = tasks[record.trial].config
        trainers[record.trial] = Trainer(config, data.train_images, "cpu")
        trainers[record.trial].resume(run.trial(record.trial).checkpoint)
    mine, others = trainers[loser.trial], trainers[donor.trial]
    assert mine.kimg == others.kimg >= 0.1
    assert mine.config.seed == loser.seed != others.config.seed
    assert mine.generator_descent.lr == loser.settings["optimizer.generator_lr"]
    assert mine.generator_descent.lr != others.generator_descent.lr
    for part in ("generator", "discriminator", "ema_generator"):
        pairs = zip(
            getattr(mine, part).state_dict().values(),
            getattr(others, part).state_dict().values(),
            strict=True,
        )
        assert all(torch.equal(one, other) for one, other in pairs)
    moments = [
        each.generator_descent.optimizer.state_dict()["state"][0]["exp_avg_sq"]
        for each in (mine, others)
    ]
    assert torch.equal(*moments)
    assert moments[0].abs().sum() > 0
    for each in tasks.values():
        train(each)
    assert {record.state for record in ledger.records.values()} == {TrialState.COMPLETED}
    assert [len(record.scores) for record in ledger.records.values()] == [2, 2]

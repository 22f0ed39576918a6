import math
import re
import shutil
import subprocess
import sys

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from reports.infeasible import read_infeasible
from reports.records import FaultKind, Measurement, RungScores, TrialState
from reports.run_folder import RunFolder
from sweeps.faults import Loss
from sweeps.ledger import Ledger
from sweeps.spec import load_spec
from sweeps.trial import TrialReport

OBJECTIVE = "fd_digits_classifier"
TINY = (
    "training.total_kimg=0.3",
    "training.batch_size=16",
    "early_stopping.grace_kimg=0.1",
    "evaluation.num_images=101",
    "evaluation.kd_subsets=3",
    "budget.trials=4",
)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "mine")
    run.trials.mkdir(parents=True)
    return run


def open_ledger(spec, run, concurrent=2):
    return Ledger(spec, run, objective=OBJECTIVE, concurrent=concurrent, device="cpu")


def score(ledger, run, number, rung, value):
    """What a trial's worker writes and says when it has scored a rung; whether it must stop."""
    folder = run.trial(f"{number:04d}")
    record = folder.read()
    kimg = ledger.spec.rungs[rung]
    measured = Measurement(name=OBJECTIVE, value=value, num_images=101)
    scores = RungScores(kimg=kimg, measurements=(measured,), fakes_path="fakes.png")
    last = rung == len(ledger.spec.rungs) - 1
    state = TrialState.COMPLETED if last else TrialState.RUNNING
    folder.write(record.model_copy(update={"scores": (*record.scores, scores), "state": state}))
    return ledger.hear(f"{number:04d}", TrialReport(kimg=kimg, state=state, rung=rung, value=value))


def study_of(run):
    storage = JournalStorage(JournalFileBackend(str(run.study)))
    return optuna.load_study(study_name=run.path.name, storage=storage)


def test_first_trial_is_the_baseline(tiny_spec, run):
    assert open_ledger(tiny_spec, run).next_task().settings == tiny_spec.baseline()


def test_every_trial_is_handed_out_once_and_then_no_more(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    numbers = []
    for _ in range(tiny_spec.budget.trials):
        task = ledger.next_task()
        numbers.append(task.number)
        score(ledger, run, task.number, 0, 5.0 - task.number)
    assert numbers == [0, 1, 2, 3]
    with pytest.raises(StopIteration):
        ledger.next_task()


def test_proposal_waits_for_the_first_score_that_it_depends_on(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)  # two workers: trial n depends on trials 0 to n - 3
    assert [ledger.next_task().number for _ in range(2)] == [0, 1]
    score(ledger, run, 1, 0, 3.0)
    assert ledger.next_task().number == 2
    assert ledger.next_task() is None
    score(ledger, run, 0, 0, 2.0)
    assert ledger.next_task().number == 3


def test_proposals_do_not_depend_on_who_finishes_first(tiny_spec, tmp_path):
    values = {0: 3.0, 1: 2.0, 2: 4.0, 3: 1.0}

    def settings(order, name):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        ledger, waiting = open_ledger(tiny_spec, run), []
        while len(ledger.records) < 4:
            task = ledger.next_task()
            if task is not None:
                waiting.append(task.number)
            if task is None or len(waiting) == 2:
                number = waiting.pop(order(len(waiting)))
                score(ledger, run, number, 0, values[number])
        return [record.settings for record in ledger.records.values()]

    assert settings(lambda n: 0, "first") == settings(lambda n: n - 1, "last")


def test_weak_trial_is_stopped_and_recorded_as_such(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for _ in range(2):
        ledger.next_task()
    assert not score(ledger, run, 0, 0, 2.0)
    assert score(ledger, run, 1, 0, 3.0)
    record = run.trial("0001").read()
    assert record.state == TrialState.STOPPED_EARLY
    assert record.ended_at is not None


def test_trial_is_never_stopped_at_its_last_rung(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for number, value in ((0, 2.0), (1, 1.0)):
        ledger.next_task()
        assert not score(ledger, run, number, 0, value)
    score(ledger, run, 1, 1, 1.0)
    score(ledger, run, 0, 1, 9.0)
    assert {record.state for record in ledger.records.values()} == {TrialState.COMPLETED}


def test_early_comer_is_judged_again_by_who_came_after_until_halfway(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for number, value in ((0, 2.0), (1, 1.0)):
        ledger.next_task()
        assert not score(ledger, run, number, 0, value)  # first of one, then best of two
    halfway = sum(tiny_spec.rungs) / 2
    late = TrialReport(kimg=halfway + 0.01, state=TrialState.RUNNING)
    early = TrialReport(kimg=halfway - 0.01, state=TrialState.RUNNING)
    assert not ledger.hear("0001", early)
    assert ledger.hear("0000", early)
    assert run.trial("0000").read().state == TrialState.STOPPED_EARLY
    ledger.next_task()
    assert not ledger.hear("0001", late)


def test_trial_that_was_past_halfway_is_judged_no_more_though_a_crash_set_it_back(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    before.next_task()
    assert not score(before, run, 0, 0, 2.0)
    halfway = sum(tiny_spec.rungs) / 2
    late = TrialReport(kimg=halfway + 0.01, state=TrialState.RUNNING)
    early = TrialReport(kimg=halfway - 0.01, state=TrialState.RUNNING)
    assert not before.hear("0000", late)
    before.next_task()
    assert not score(before, run, 1, 0, 1.0)
    after = open_ledger(tiny_spec, run)
    assert not after.hear("0000", early)
    shutil.copytree(run.path, run.path.with_name("other"))
    other = RunFolder(run.path.with_name("other"))
    other.judgements.unlink()  # nothing was said: then it stops
    assert open_ledger(tiny_spec, other).hear("0000", early)


def test_lost_worker_leaves_a_failure_with_its_cause(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    ledger.next_task()
    ledger.lost("0000", Loss(FaultKind.ERROR, "RuntimeError: the disk is on fire"))
    record = run.trial("0000").read()
    assert (record.state, record.cause) == (TrialState.FAILED, "RuntimeError: the disk is on fire")


def test_new_ledger_hands_out_interrupted_trials_first_with_their_settings(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    tasks = [before.next_task(), before.next_task()]
    score(before, run, 0, 0, 2.0)
    after = open_ledger(tiny_spec, run)
    assert [after.next_task(), after.next_task()] == tasks


def test_finished_trial_is_not_handed_out_again(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    for _ in range(2):
        before.next_task()
    score(before, run, 0, 0, 2.0)
    score(before, run, 1, 0, 3.0)
    assert open_ledger(tiny_spec, run).next_task().number == 0  # 1 was stopped early


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", range(1, 8))
def test_resumed_sweep_proposes_and_stops_as_the_uninterrupted_one(
    tiny_spec, tmp_path, killed_after
):
    values = {(0, 0): 4.0, (1, 0): 3.0, (2, 0): 5.0, (3, 0): 2.0}

    def sweep(name, killed_after):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        ledger, steps = open_ledger(tiny_spec, run, concurrent=1), 0
        while True:
            try:
                task = ledger.next_task()
            except StopIteration:
                return [(r.settings, r.state) for r in ledger.records.values()]
            for rung in range(len(run.trial(task.trial).read().scores), 2):
                steps += 1
                stopped = score(
                    ledger, run, task.number, rung, values.get((task.number, rung), 1.0)
                )
                if steps == killed_after:
                    ledger = open_ledger(tiny_spec, run, concurrent=1)
                    if not stopped and rung == 0:
                        assert ledger.next_task().number == task.number
                if stopped:
                    break

    assert sweep("broken", killed_after) == sweep("whole", None)


def test_study_opens_in_optuna_with_values_states_and_names(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for _ in range(2):
        ledger.next_task()
    score(ledger, run, 0, 0, 2.0)
    score(ledger, run, 1, 0, 3.0)
    score(ledger, run, 0, 1, 1.0)
    ledger.next_task()
    ledger.lost("0002", Loss(FaultKind.ERROR, "it broke"))
    for study in (study_of(run), (open_ledger(tiny_spec, run), study_of(run))[1]):
        states = [trial.state.name for trial in study.trials]
        assert states == ["COMPLETE", "PRUNED", "FAIL"]
        assert study.best_value == 1.0
        assert study.trials[0].params["generator.depths"].startswith("[")
        assert [trial.user_attrs["trial"] for trial in study.trials] == ["0000", "0001", "0002"]


def test_score_that_is_not_a_number_does_not_stop_others(tiny_spec, run):
    ledger = open_ledger(tiny_spec, run)
    for _ in range(2):
        ledger.next_task()
    score(ledger, run, 0, 0, math.inf)
    assert not score(ledger, run, 1, 0, 3.0)


def test_trial_whose_folder_was_removed_is_the_next_with_the_settings_it_had(tiny_spec, run):
    before = open_ledger(tiny_spec, run)
    tasks = []
    for value in (2.0, 3.0, 1.0, 4.0):
        tasks.append(before.next_task())
        if not score(before, run, tasks[-1].number, 0, value):
            score(before, run, tasks[-1].number, 1, value)
    shutil.rmtree(run.trial("0002").path)
    after = open_ledger(tiny_spec, run)
    assert after.next_task() == tasks[2]
    with pytest.raises(StopIteration):
        after.next_task()


CONDITIONAL = (
    "search={loss.gradient_penalty: {loguniform: [0.1, 100], when: {loss.name: [rpgan]}}, "
    "loss.name: {choice: [nonsaturating, rpgan]}, "
    "generator.num_heads: {choice: [2, 3, 4]}, "
    "optimizer.generator_lr: {loguniform: [1.0e-4, 1.0e-2]}, "
    "optimizer.discriminator_lr: {loguniform: [1.0e-4, 1.0e-2]}}"
)
NONE = "early_stopping.name=none"


def spec_with(*overrides):
    return load_spec("digits", (*TINY, *overrides))[1]


def train_all(ledger, run, value=lambda number: 1.0 + (number * 7) % 5):
    """Run all that the ledger hands out to its end, one after the other."""
    while True:
        try:
            task = ledger.next_task()
        except StopIteration:
            return
        for rung in range(len(run.trial(task.trial).read().scores), len(ledger.spec.rungs)):
            if score(ledger, run, task.number, rung, value(task.number)):
                break


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "grid", "tpe", "gp", "cmaes", "nsga2"])
def test_infeasible_proposals_are_no_trials_and_a_resumed_sweep_makes_the_same(name, tmp_path):
    pytest.importorskip("cmaes")
    grid = "search={generator.num_heads: {choice: [2, 3, 4]}, batch_size: {choice: [8, 16, 32]}}"
    spec = spec_with(
        grid if name == "grid" else CONDITIONAL,
        NONE,
        f"sampler={{name: {name}, seed: 3, startup_trials: 3}}",
        f"budget.trials={6 if name == 'grid' else 11}",
    )

    def sweep(folder, killed_at):
        run = RunFolder(tmp_path / folder)
        run.trials.mkdir(parents=True)
        first = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 5})})
        train_all(open_ledger(first if killed_at else spec, run), run)
        ledger = open_ledger(spec, run)
        train_all(ledger, run)
        return ledger

    whole, broken = sweep("whole", False), sweep("broken", True)
    assert whole.infeasible == broken.infeasible
    assert {number: record.settings for number, record in whole.records.items()} == {
        number: record.settings for number, record in broken.records.items()
    }
    assert len(whole.records) == spec.budget.trials
    assert not any(record.state.is_failure for record in whole.records.values())
    assert whole.infeasible
    assert all(refused.settings["generator.num_heads"] == 3 for refused in whole.infeasible)
    assert all("does not divide" in refused.cause for refused in whole.infeasible)
    assert read_infeasible(whole.run) == whole.infeasible


def test_removed_trial_comes_back_with_the_settings_it_had_though_others_were_refused(run):
    spec = spec_with(CONDITIONAL, NONE, "sampler={name: tpe, seed: 3, startup_trials: 3}")
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 9})})
    before = open_ledger(spec, run)
    train_all(before, run)
    number = before.infeasible[0].number
    shutil.rmtree(run.trial(f"{number:04d}").path)
    after = open_ledger(spec, run)
    assert after.next_task().settings == before.records[number].settings
    assert after.infeasible == before.infeasible


@pytest.mark.slow
def test_sweep_of_which_hardly_anything_can_be_trained_ends_with_a_reason(run, monkeypatch):
    spec = spec_with(CONDITIONAL, "resources.memory_gb=0.000001")
    monkeypatch.setattr("sweeps.proposer.MOST_REFUSALS", 3)
    ledger = open_ledger(spec, run)
    for _ in range(2):
        with pytest.raises(StopIteration):
            ledger.next_task()
    assert re.search(
        r"^3 proposals in a row for trial 0000 can't be trained, the last since .*; take such",
        ledger.ended_because,
    )
    assert len(ledger.infeasible) == 3
    assert not ledger.records


def test_setting_that_does_not_apply_is_absent_from_the_record_and_its_config_has_the_default(run):
    spec = spec_with(CONDITIONAL, NONE, "budget.trials=9", "sampler.name=random")
    ledger = open_ledger(spec, run)
    train_all(ledger, run)
    without = [r for r in ledger.records.values() if "loss.gradient_penalty" not in r.settings]
    assert 0 < len(without) < 9
    for record in without:
        assert record.settings["loss.name"] == "nonsaturating"
        assert record.config["loss"]["gradient_penalty"] == spec.training.loss.gradient_penalty


@pytest.mark.slow
def test_proposals_depend_on_the_settled_number_at_once_and_not_on_the_machine(tmp_path):
    spec = spec_with("budget.concurrent_trials=3", "budget.trials=9", NONE)

    def settings(name, concurrent):
        run = RunFolder(tmp_path / name)
        run.trials.mkdir(parents=True)
        ledger = open_ledger(spec, run, concurrent)
        train_all(ledger, run)
        return [record.settings for record in ledger.records.values()]

    assert settings("large", 3) == settings("small", 1)


@pytest.mark.slow
def test_study_shows_refusals_conditions_and_several_objectives_while_the_sweep_writes(run):
    spec = spec_with(CONDITIONAL, NONE, "sampler={name: nsga2, seed: 3, population_size: 3}")
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 9})})
    ledger = open_ledger(spec, run)
    train_all(ledger, run)
    for study in (study_of(run), (open_ledger(spec, run), study_of(run))[1]):
        complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
        refused = [trial for trial in study.trials if "infeasible" in trial.user_attrs]
        assert len(complete) == 9
        assert len(refused) == len(ledger.infeasible) > 0
        assert {trial.state.name for trial in refused} == {"PRUNED"}
        assert study.metric_names == [OBJECTIVE, "flops"]
        assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
        assert all(trial.values[1] > 1e3 for trial in complete)
        assert study.best_trials
        for trial in complete:
            rpgan = trial.params["loss.name"] == "rpgan"
            assert ("loss.gradient_penalty" in trial.params) == rpgan


def test_study_is_read_by_another_process_amid_the_sweep(run):
    ledger = open_ledger(spec_with(CONDITIONAL), run)
    ledger.next_task()
    score(ledger, run, 0, 0, 2.0)
    program = (
        "import sys, optuna\n"
        "from optuna.storages import JournalStorage\n"
        "from optuna.storages.journal import JournalFileBackend\n"
        "storage = JournalStorage(JournalFileBackend(sys.argv[1]))\n"
        "study = optuna.load_study(study_name=sys.argv[2], storage=storage)\n"
        "print(study.trials[0].state.name, study.trials[0].intermediate_values)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(run.study), run.path.name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == f"RUNNING {{{round(ledger.spec.rungs[0] * 1000)}: 2.0}}"
    assert score(ledger, run, 0, 1, 1.0)
    assert study_of(run).best_value == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tpe", "cmaes"])
def test_proposals_made_ahead_are_those_that_would_be_made_later(name, tmp_path, monkeypatch):
    pytest.importorskip("cmaes")
    spec = spec_with(CONDITIONAL, NONE, f"sampler={{name: {name}, seed: 3, startup_trials: 3}}")
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 9})})

    def sweep(folder, thinks_ahead):
        run = RunFolder(tmp_path / folder)
        run.trials.mkdir(parents=True)
        ledger = open_ledger(spec, run)
        made, awaited = [], []
        propose = ledger._proposer._proposals.propose
        monkeypatch.setattr(
            ledger._proposer._proposals,
            "propose",
            lambda number, *known: made.append(number) or propose(number, *known),
        )
        running = []
        for _ in range(spec.budget.trials):
            before = len(made)
            running.append(ledger.next_task())
            awaited += made[before:]
            if thinks_ahead:
                known = sorted(ledger.records), sorted(path.name for path in run.trials.iterdir())
                ledger.think_ahead()
                ledger.think_ahead()
                assert known == (
                    sorted(ledger.records),
                    sorted(path.name for path in run.trials.iterdir()),
                )
            if len(running) == 2:
                for rung in range(len(spec.rungs)):
                    score(ledger, run, running[0].number, rung, 1.0 + running[0].number)
                running.pop(0)
        assert len(made) == len(set(made)) + len(ledger.infeasible)
        return ledger, awaited

    (late, all_awaited), (early, awaited) = sweep("late", False), sweep("early", True)
    assert late.records.keys() == early.records.keys()
    assert [record.settings for record in late.records.values()] == [
        record.settings for record in early.records.values()
    ]
    assert late.infeasible == early.infeasible
    assert late.infeasible
    assert set(all_awaited) == set(range(9))
    assert set(awaited) < set(all_awaited)


def test_what_ends_the_search_is_heard_by_who_asks_for_the_next_trial(run, monkeypatch):
    monkeypatch.setattr("sweeps.proposer.MOST_REFUSALS", 3)
    ledger = open_ledger(spec_with(CONDITIONAL, "resources.memory_gb=0.000001"), run)
    ledger.think_ahead()
    ledger.think_ahead()
    assert len(ledger.infeasible) == 3
    assert ledger.ended_because.startswith("3 proposals in a row")
    with pytest.raises(StopIteration):
        ledger.next_task()

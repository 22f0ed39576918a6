from reports.infeasible import InfeasibleProposal, note_infeasible, read_infeasible
from reports.run_folder import RunFolder


def proposal(number, attempt=0, cause="too large"):
    settings = {"generator.depths": (3, 1), "loss.name": "hinge"}
    return InfeasibleProposal(number=number, attempt=attempt, settings=settings, cause=cause)


def test_refusals_come_back_by_trial_and_attempt(tmp_path):
    run = RunFolder(tmp_path)
    assert read_infeasible(run) == []
    for each in (proposal(3, 1), proposal(2), proposal(3)):
        note_infeasible(run, each)
    assert read_infeasible(run) == [proposal(2), proposal(3), proposal(3, 1)]


def test_refusal_that_was_noted_twice_is_one(tmp_path):
    run = RunFolder(tmp_path)
    for cause in ("first", "second"):
        note_infeasible(run, proposal(2, cause=cause))
    assert read_infeasible(run) == [proposal(2, cause="second")]


def test_half_written_line_is_left_out_and_spoils_no_other(tmp_path):
    run = RunFolder(tmp_path)
    note_infeasible(run, proposal(2))
    with run.infeasible.open("a") as file:
        file.write('{"number": 3, "att')
    assert read_infeasible(run) == [proposal(2)]
    note_infeasible(run, proposal(3))
    assert read_infeasible(run) == [proposal(2), proposal(3)]

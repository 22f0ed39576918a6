"""What is said of a sweep before it starts."""

import io

from rich.console import Console

from evaluation.inception_weights import USUAL_FILE
from sweeps.announcement import plan_document, say_plan
from sweeps.run_place import RunPlace
from sweeps.spec import load_spec


def test_plan_says_how_many_finalist_runs_there_will_be_at_most(tmp_path):
    spec = load_spec("digits", ("training.total_kimg=24", "finalists={count: 2, seeds: 2}"))[1]
    console = Console(file=io.StringIO(), width=200, no_color=True)
    say_plan(spec, "mine", RunPlace(tmp_path), USUAL_FILE, console, concurrent=2)
    said = "the best 2 again from up to 2 fresh seeds each: at most 4 runs of 24 kimg"
    assert said in console.file.getvalue()
    assert plan_document(spec, "mine", 2)["most_finalist_runs"] == 4


def test_what_there_is_one_of_is_said_in_the_singular(tmp_path):
    spec = load_spec("digits", ("search={}", "budget.trials=1"))[1]
    console = Console(file=io.StringIO(), width=200, no_color=True)
    say_plan(spec, "mine", RunPlace(tmp_path), USUAL_FILE, console, concurrent=1)
    said = console.file.getvalue()
    assert "mine: 1 trial of up to" in said
    assert "1 pair of networks, all built" in said


def test_corners_that_are_too_many_to_look_at_all_are_said(tmp_path, monkeypatch):
    for module in ("search_space", "announcement"):
        monkeypatch.setattr(f"sweeps.{module}.MAX_CORNERS", 8)
    rates = ("optimizer.generator_lr", "optimizer.discriminator_lr")
    for values, said in (("0.1, 0.2, 0.3", "5 of 9 combinations of choices"), ("0.1, 0.2", "")):
        space = ", ".join(f"{path}: {{choice: [{values}]}}" for path in rates)
        spec = load_spec("digits", (f"search={{{space}}}",))[1]
        console = Console(file=io.StringIO(), width=200, no_color=True)
        say_plan(spec, "mine", RunPlace(tmp_path), USUAL_FILE, console, concurrent=1)
        assert said in console.file.getvalue()
        assert ("Corners" in console.file.getvalue()) == bool(said)

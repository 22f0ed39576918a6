"""What `plan`, `run` and `run -n` say of a sweep before its first trial."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from evaluation.inception_weights import USUAL_FILE, InceptionFile
from reports.warm_start import WarmStart
from sweeps.announcement import concurrent_here, labelled, plan_document, say_plan
from sweeps.derived_resources import derive_resources
from sweeps.devices import this_machine
from sweeps.outlets import say_error
from sweeps.outlook import foresee, outlook_document, say_outlook
from sweeps.plan import concurrent_trials
from sweeps.rehearsal import foresee_extractor, look_at_data, rehearse
from sweeps.run_place import RunPlace
from sweeps.spec import SweepSpec
from sweeps.warm_start import take_over


def plan_sweep(
    spec: SweepSpec, name: str, result: Console, progress: Console, *, as_json: bool
) -> None:
    """What a sweep would be on this machine, with the memory and time that are foreseen of it.

    Args:
        spec: the sweep.
        name: of the sweep.
        result: where it is said.
        progress: where it is shown how far this is.
        as_json: whether to say it as a JSON document.
    """
    notes = look_at_data(spec, progress)
    spec, derived = derive_resources(spec, [this_machine()])
    where = RunPlace(Path("runs") / name)
    if spec.task != "generate":
        at_once = concurrent_here(spec)
        if as_json:
            print(json.dumps(plan_document(spec, name, at_once), indent=1))
        else:
            say_plan(spec, name, where, USUAL_FILE, result, concurrent=at_once)
        print(*notes, _unforeseen(spec), sep="\n", file=sys.stderr)
        return
    prior = take_over(spec)
    outlook = foresee(spec, progress)
    at_once = outlook.concurrent
    if as_json:
        document = plan_document(spec, name, at_once)
        document |= {"resources": spec.resources.model_dump()}
        print(json.dumps(document | outlook_document(outlook), indent=1))
    else:
        say_plan(spec, name, where, USUAL_FILE, result, concurrent=at_once, prior=prior)
        _say_derived(derived, "this machine", result)
        say_outlook(outlook, result)
    for note in (*notes, *foresee_extractor(spec)):
        print(note, file=sys.stderr)


def say_run(
    spec: SweepSpec,
    name: str,
    place: RunPlace,
    inception: InceptionFile,
    prior: WarmStart | None,
    address: str | None,
    console: Console,
) -> None:
    """What a sweep that is about to start will be.

    Memory and time are said once the resources are settled and trials' pace is known
    (`sweeps.driver`), which takes long enough to be done once.

    Raises:
        SpecError: it is for this machine, and not even one trial fits.
    """
    at_once = None
    if address is None:
        with console.status("Sharing out this machine …"):
            spec = derive_resources(spec, [this_machine()]).spec
        at_once = concurrent_here(spec)
    say_plan(spec, name, place, inception, console, concurrent=at_once, prior=prior)


def rehearse_run(
    spec: SweepSpec,
    name: str,
    place: RunPlace,
    inception: InceptionFile,
    prior: WarmStart | None,
    address: str | None,
    console: Console,
) -> bool:
    """Say what a run would be with the memory and time it would take, or all that would stop it.

    Returns:
        Whether nothing would.
    """
    found = rehearse(spec, place, address, inception, console)
    for obstacle in found.obstacles:
        say_error(obstacle)
    at_once = None
    if found.settled is not None:
        spec = found.settled.spec
        at_once = concurrent_trials(spec, found.nodes)
    say_plan(spec, name, place, inception, console, concurrent=at_once, prior=prior)
    notes = list(found.notes)
    if found.settled is not None and not found.obstacles:
        where = "this machine" if address is None else "that cluster"
        _say_derived(found.settled.reason, where, console)
        if spec.task == "generate":
            cluster = None if address is None else found.nodes
            say_outlook(foresee(spec, console, cluster), console)
        else:
            notes.append(_unforeseen(spec))
    for note in notes:
        print(note, file=sys.stderr)
    return not found.obstacles


def _say_derived(reason: str | None, where: str, console: Console) -> None:
    if reason is not None:
        labelled(console)("Resources", f"derived for {where}: {escape(reason)}")


def _unforeseen(spec: SweepSpec) -> str:
    return f"memory and time are not foreseen for task {spec.task}; a run says its time"

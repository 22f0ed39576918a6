"""The command line. Heavy imports wait inside the commands, until what they are for is due.

So help and status answer at once, and so does a refused spec or run folder.
"""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.arguments import (
    Address,
    AllowUnverified,
    InceptionWeights,
    Out,
    RunPath,
    RunPaths,
    Set,
    Spec,
    Trials,
    given_path,
)
from sweeps.lone_commands import doctor, evaluate, generate, import_, init
from sweeps.outlets import (
    EXIT_FAILED_TRIALS,
    EXIT_INTERRUPTED,
    EXIT_USER_ERROR,
    errors_in_one_line,
    progress,
    result,
    say_error,
)
from sweeps.run_place import RunPlace

if TYPE_CHECKING:
    from evaluation.inception_weights import InceptionFile
    from reports.run_folder import RunFolder
    from sweeps.spec import SweepSpec
    from transgan.data import ImageData

STARTED = time.monotonic()

app = typer.Typer(
    help="Which depth, heads, learning rates and loss give the best images? Sweep and see.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def run(
    spec: Spec = "digits",
    out: Out = None,
    set_: Set = None,
    trials: Trials = None,
    address: Address = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "-n", "--dry-run", help="Say what would be done, or fail, and how long it takes."
        ),
    ] = False,
    dashboard: Annotated[
        bool, typer.Option(help="Serve Ray's dashboard on localhost while the sweep runs.")
    ] = True,
    inception_weights: InceptionWeights = None,
    allow_unverified_weights: AllowUnverified = False,
) -> None:
    """Plan, train, score, report.

    Example: tg-sweep run digits --set budget.trials=4 --out runs/small
    """
    with errors_in_one_line():
        from sweeps.folder import create_run
        from sweeps.shadowing import check_working_directory
        from sweeps.spec import load_spec
        from sweeps.warm_start import keep, take_over

        of_spec, resolved = load_spec(spec, _overrides(set_, trials))
        place = out or RunPlace(Path("runs") / of_spec)
        name = place.folder.resolve().name  # sweeps of one spec are told apart by their folders
        prior = take_over(resolved)
        if not dry_run:
            place.check_vacant()
            check_working_directory()
        from evaluation.inception_weights import InceptionFile

        weights = InceptionFile(inception_weights, allow_unverified_weights)
        from sweeps.plan_command import rehearse_run, say_run

        what = (resolved, name, place, weights, prior, address, progress())
        if dry_run:
            if not rehearse_run(*what):
                raise typer.Exit(EXIT_USER_ERROR)
            return
        from sweeps.driver import usable_data
        from sweeps.extractor_options import inception_file

        with progress().status("Reading the images …"):
            data = usable_data(resolved)
        say_run(*what)
        inception = inception_file(resolved, inception_weights, allow_unverified_weights)
        with place.begun(progress()) as path:
            run_folder = create_run(path, resolved)
            keep(run_folder, prior)
            _execute(run_folder, place, resolved, data, name, address, dashboard, inception)


@app.command()
def plan(
    spec: Spec = "digits",
    set_: Set = None,
    trials: Trials = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what a sweep would be, how large its models are, and about how long it takes.

    Example: tg-sweep plan digits --trials 20
    """
    with errors_in_one_line():
        from sweeps.spec import load_spec

        name, resolved = load_spec(spec, _overrides(set_, trials))
        from sweeps.plan_command import plan_sweep

        plan_sweep(resolved, name, result(), progress(), as_json=as_json)


@app.command()
def resume(
    place: RunPath,
    trials: Annotated[
        int | None,
        typer.Option(
            help="New number of trials, from now on: more, or fewer but not below those started."
        ),
    ] = None,
    address: Address = None,
    dashboard: Annotated[
        bool, typer.Option(help="Serve Ray's dashboard on localhost while the sweep runs.")
    ] = True,
    inception_weights: InceptionWeights = None,
    allow_unverified_weights: AllowUnverified = False,
) -> None:
    """Go on after any interruption; no finished trial is lost or repeated.

    Example: tg-sweep resume runs/digits
    """
    with errors_in_one_line():
        from reports.run_folder import RunFolder
        from sweeps.folder import extend, restore_spec
        from sweeps.same_training import check_training
        from sweeps.standings import say_extended, say_resumed
        from sweeps.warm_start import prior_of

        with place.gone_on(progress()) as folder:
            run_folder = RunFolder(folder)
            resolved = restore_spec(run_folder)
            prior_of(resolved, run_folder)  # without it, other trials would be proposed
            check_training(run_folder, resolved)
            name = folder.resolve().name
            if run_folder.sweep.exists():  # damaged, it is refused before any work is done
                name = run_folder.read_sweep().name
            if trials is not None:
                before = resolved.budget.trials
                resolved = extend(run_folder, resolved, trials)
                say_extended(run_folder, before, trials, progress())
            say_resumed(run_folder, resolved.budget.trials, name, progress())
            from sweeps.driver import usable_data
            from sweeps.extractor_options import inception_file

            data = usable_data(resolved)
            inception = inception_file(resolved, inception_weights, allow_unverified_weights)
            _execute(run_folder, place, resolved, data, name, address, dashboard, inception)


@app.command()
def status(
    place: RunPath,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """A running or finished sweep at a glance.

    Example: tg-sweep status runs/digits
    """
    with errors_in_one_line():
        from sweeps.standings import say_status, status_document

        run, note = place.to_read(progress()), place.note()
        if as_json:
            document = status_document(run)
            print(json.dumps(document if note is None else document | {"copy": note}, indent=1))
        else:
            say_status(run, str(place), result())
            if note is not None:
                print(note)


@app.command()
def report(
    places: RunPaths,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=given_path, help="Where to write the page."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=given_path, help="Where to write the table."),
    ] = None,
) -> None:
    """Build a sweep's page and tables anew; or compare several sweeps in sweeps.html, sweeps.csv.

    Of several sweeps, --html ab.html puts the table beside it, in ab.csv, and --csv the page.

    Example: tg-sweep report runs/digits --html digits.html
    """
    with errors_in_one_line():
        from reports.build import sweeps_outputs
        from sweeps.report_command import report_one, report_several

        runs = [place.to_read(progress()) for place in places]
        if len(runs) == 1:
            report_one(runs[0], html, csv, progress())
        else:
            report_several(runs, *sweeps_outputs(html, csv), progress())


@app.command()
def rerun(
    place: RunPath,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's name: 0003.")],
    kimg: Annotated[
        float | None, typer.Option(help="Stop after this many kimg; by default where it ended.")
    ] = None,
) -> None:
    """Train one trial again, alone, outside the sweep, and compare its losses with the record.

    Example: tg-sweep rerun runs/digits 0003 --kimg 5
    """
    with errors_in_one_line():
        from sweeps.rerun import rerun_trial

        if not rerun_trial(place.to_read(progress()), trial, kimg, progress()):
            raise typer.Exit(EXIT_USER_ERROR)


for command in (init, generate, evaluate):
    app.command()(command)
app.command("import")(import_)
app.command()(doctor)


def _execute(
    run_folder: RunFolder,
    place: RunPlace,
    spec: SweepSpec,
    data: ImageData,
    name: str,
    address: str | None,
    dashboard: bool,
    inception: InceptionFile,
) -> None:
    from sweeps.driver import execute
    from sweeps.standings import say_end

    console = progress()
    resume = f"tg-sweep resume {shlex.quote(str(place))}"
    way_on = f"go on with: [bold]{resume}[/]"
    try:
        outcome = execute(
            run_folder,
            spec,
            data,
            name=name,
            address=address,
            dashboard=dashboard,
            inception=inception,
            console=console,
            started=STARTED,
        )
    except KeyboardInterrupt as interrupt:
        console.print(f"{str(interrupt) or 'interrupted'}; {way_on}", highlight=False)
        raise typer.Exit(getattr(interrupt, "exit_code", EXIT_INTERRUPTED)) from None
    failures = say_end(run_folder, outcome.comparison, console, result())
    if outcome.stopped_because is not None:
        say_error(f"{outcome.stopped_because}, then go on with: {resume}")
        raise typer.Exit(EXIT_USER_ERROR)
    if outcome.interrupted:
        console.print(f"{outcome.reason}; {way_on}", highlight=False)
        raise typer.Exit(outcome.exit_code)
    if failures:
        raise typer.Exit(EXIT_FAILED_TRIALS)


def _overrides(assignments: list[str] | None, trials: int | None) -> tuple[str, ...]:
    more = [] if trials is None else [f"budget.trials={trials}"]
    return (*(assignments or ()), *more)


def main() -> None:
    """Entry point of `tg-sweep`."""
    app()

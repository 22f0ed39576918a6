"""The command line. Heavy imports wait inside the commands, so that help answers at once."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.arguments import (
    Address,
    AllowUnverified,
    InceptionWeights,
    RunPath,
    Set,
    Spec,
    Trials,
    given_path,
)

if TYPE_CHECKING:
    from rich.console import Console

    from evaluation.inception_weights import InceptionFile
    from reports.records import RunFolder
    from sweeps.spec import SweepSpec
    from transgan.data import ImageData

OUR_PACKAGES = ("transgan", "evaluation", "reports", "sweeps")
STARTED = time.monotonic()
MOST_IMAGES = 1_000_000
EXIT_USER_ERROR, EXIT_FAILED_TRIALS, EXIT_INTERRUPTED = 1, 3, 130

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
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", parser=given_path, help="Run folder; by default runs/NAME."),
    ] = None,
    set_: Set = None,
    trials: Trials = None,
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be done or fail, and end.")
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
    with _errors_in_one_line():
        from evaluation.inception_weights import InceptionFile
        from sweeps.spec import load_spec

        name, resolved = load_spec(spec, _overrides(set_, trials))
        path = out or Path("runs") / name
        if dry_run:
            weights = InceptionFile(inception_weights, allow_unverified_weights)
            _rehearse(resolved, name, path, address, weights)
            return
        from sweeps.driver import usable_data
        from sweeps.folder import check_vacant, create_run
        from sweeps.inception_options import inception_file

        check_vacant(path)
        with _progress().status("Reading the images …"):
            data = usable_data(resolved)
        _say_plan(resolved, name, path, _progress())
        inception = inception_file(resolved, inception_weights, allow_unverified_weights)
        run_folder = create_run(path, resolved)
        _execute(run_folder, resolved, data, name, address, dashboard, inception)


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
    with _errors_in_one_line():
        from sweeps.announcement import plan_document
        from sweeps.spec import load_spec

        name, resolved = load_spec(spec, _overrides(set_, trials))
        if as_json:
            print(json.dumps(plan_document(resolved, name), indent=1))
        else:
            _say_plan(resolved, name, Path("runs") / name, _result())


@app.command()
def resume(
    path: RunPath,
    trials: Annotated[
        int | None, typer.Option(help="New number of trials, to make a sweep longer.")
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
    with _errors_in_one_line():
        from reports.records import RunFolder
        from sweeps.driver import usable_data
        from sweeps.folder import extend, restore_spec
        from sweeps.inception_options import inception_file

        run_folder = RunFolder(path)
        resolved = restore_spec(run_folder)
        if run_folder.sweep.exists():
            run_folder.read_sweep()  # damaged, it is refused before any work is done
        if trials is not None:
            resolved = extend(run_folder, resolved, trials)
        data = usable_data(resolved)
        inception = inception_file(resolved, inception_weights, allow_unverified_weights)
        _execute(run_folder, resolved, data, path.name, address, dashboard, inception)


@app.command()
def status(
    path: RunPath,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """A running or finished sweep at a glance.

    Example: tg-sweep status runs/digits
    """
    with _errors_in_one_line():
        from sweeps.announcement import say_status, status_document

        if as_json:
            print(json.dumps(status_document(path), indent=1))
        else:
            say_status(path, _result())


@app.command()
def report(
    path: RunPath,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=given_path, help="Where to write the page."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=given_path, help="Where to write the table."),
    ] = None,
) -> None:
    """Build report.html and results.csv anew from a run folder.

    Example: tg-sweep report runs/digits --html digits.html
    """
    with _errors_in_one_line():
        from reports.build import build_report
        from reports.records import RunFolder

        run_folder = RunFolder(path)
        for damaged in build_report(path, html=html, csv=csv).damaged:
            record = run_folder.trial(damaged.trial).record
            print(f"warning: {record}: left out: {damaged.reason}", file=sys.stderr)
        print(html or run_folder.report)
        print(csv or run_folder.results)


@app.command()
def rerun(
    path: RunPath,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's name: 0003.")],
    kimg: Annotated[
        float | None, typer.Option(help="Stop after this many kimg; by default where it ended.")
    ] = None,
) -> None:
    """Train one trial again, alone, outside the sweep, and compare its losses with the record.

    Example: tg-sweep rerun runs/digits 0003 --kimg 5
    """
    with _errors_in_one_line():
        from sweeps.rerun import rerun_trial

        if not rerun_trial(path, trial, kimg, _progress()):
            raise typer.Exit(EXIT_USER_ERROR)


@app.command()
def generate(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", parser=given_path, help="A snapshot or checkpoint of a trial."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE.png|DIR", parser=given_path, help="A grid, or a folder of files."
        ),
    ],
    num: Annotated[int, typer.Option(min=1, max=MOST_IMAGES, help="Number of images.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0,
) -> None:
    """Images from a trained generator.

    Example: tg-sweep generate runs/digits/trials/0003/snapshot.safetensors --out digits.png
    """
    with _errors_in_one_line():
        from transgan.sampling import write_samples
        from transgan.training.checkpoint import load_snapshot

        generator, _ = load_snapshot(checkpoint)
        write_samples(generator, num, seed, out)
        print(out)


@app.command()
def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES|CHECKPOINT",
            parser=given_path,
            help="A folder, zip or .npz of images; or a trial's snapshot or checkpoint.",
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Real images of the same kinds, an .npz of their mu and sigma, a data set's name "
            "(its held-out images), or a run folder (what it has prepared).",
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="inception (the default), classifier (trained on the data set's labels), "
            "dinov2, package.module:Name, a classifier's file, or a run folder.",
        ),
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="A,B", help="By default all.")] = None,
    num_images: Annotated[
        int | None, typer.Option(min=1, help="Images of a generator; by default 5000.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of latents and subsets.")] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Cut all images to squares and resize them to this side."),
    ] = None,
    inception_weights: InceptionWeights = None,
    allow_unverified_weights: AllowUnverified = False,
    statistics_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=given_path, help="Write the reference's mu and sigma too."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Scores of a trained generator, or of images, against real ones; no sweep is needed.

    Example: tg-sweep evaluate runs/digits/trials/0003/snapshot.safetensors --reference runs/digits
    """
    with _errors_in_one_line():
        from evaluation.inception_weights import InceptionFile
        from sweeps.evaluation_command import EvaluationRequest
        from sweeps.evaluation_command import evaluate as evaluate_request
        from sweeps.evaluation_table import say_outcome

        names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
        inception = InceptionFile(inception_weights, allow_unverified_weights)
        request = EvaluationRequest(
            source, reference, extractor, names, num_images, seed, size, inception
        )
        outcome = evaluate_request(request, _progress())
        if statistics_out is not None:
            outcome.reference.save_statistics(statistics_out)
        if as_json:
            print(json.dumps(outcome.document(), indent=1))
        else:
            say_outcome(outcome, _result())


@app.command("import")
def import_(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT.pth", parser=given_path, help="A file of the authors' weights."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", parser=given_path, help="Where to write; made if need be."),
    ],
) -> None:
    """The authors' TransGAN weights as a snapshot and, if both networks are there, a checkpoint.

    Example: tg-sweep import cifar_checkpoint.pth --out runs/official
    """
    with _errors_in_one_line():
        from sweeps.official_import import import_official

        for path in import_official(checkpoint, out, _progress()):
            print(path)


@app.command()
def doctor(
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to try: auto, or host:port.")
    ] = None,
    fid: Annotated[
        bool, typer.Option("--fid", help="Hold the evaluation's numbers against other people's.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="With --fid: the parts of it that take a minute.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="With --fid: write it as a page, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What this machine can do, and with --fid whether its evaluation can be trusted.

    Example: tg-sweep doctor --fid --quick
    """
    if not fid and (quick or page):
        raise typer.BadParameter("--quick and --page are about --fid; add it")
    with _errors_in_one_line():
        from sweeps.doctor import visit

        well = visit(_result(), address=address, fid=fid, quick=quick, page=page, as_json=as_json)
    if not well:
        raise typer.Exit(EXIT_USER_ERROR)


def _execute(
    run_folder: RunFolder,
    spec: SweepSpec,
    data: ImageData,
    name: str,
    address: str | None,
    dashboard: bool,
    inception: InceptionFile,
) -> None:
    from sweeps.announcement import say_end
    from sweeps.driver import execute

    progress = _progress()
    way_on = f"go on with: [bold]tg-sweep resume {shlex.quote(str(run_folder.path))}[/]"
    try:
        outcome = execute(
            run_folder,
            spec,
            data,
            name=name,
            address=address,
            dashboard=dashboard,
            inception=inception,
            console=progress,
            started=STARTED,
        )
    except KeyboardInterrupt:
        progress.print(f"interrupted; {way_on}", highlight=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    failures = say_end(run_folder, outcome.comparison, progress, _result())
    if outcome.interrupted:
        progress.print(f"{outcome.reason}; {way_on}", highlight=False)
        raise typer.Exit(EXIT_INTERRUPTED)
    if failures:
        raise typer.Exit(EXIT_FAILED_TRIALS)


def _rehearse(
    spec: SweepSpec, name: str, path: Path, address: str | None, weights: InceptionFile
) -> None:
    """Say what a run would be, and all that would stop it."""
    from sweeps.rehearsal import rehearse

    rehearsal = rehearse(spec, path, address, weights)
    for obstacle in rehearsal.obstacles:
        _say_error(obstacle)
    _say_plan(spec, name, path, _progress())
    for note in rehearsal.notes:
        print(note, file=sys.stderr)
    if rehearsal.obstacles:
        raise typer.Exit(EXIT_USER_ERROR)


def _say_plan(spec: SweepSpec, name: str, path: Path, console: Console) -> None:
    from sweeps.announcement import say_plan

    say_plan(spec, name, path, console)


def _overrides(assignments: list[str] | None, trials: int | None) -> tuple[str, ...]:
    more = [] if trials is None else [f"budget.trials={trials}"]
    return (*(assignments or ()), *more)


def _progress() -> Console:
    """Where progress and warnings go: stderr."""
    from sweeps.terminal import progress_console

    return progress_console()


def _result() -> Console:
    """Where results go: stdout."""
    from sweeps.terminal import result_console

    return result_console()


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Turn the errors that our packages raise for users into one line and exit code 1.

    That nobody reads the results to their end (`| head -1`) is no error.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except ValueError as error:
        if type(error).__module__.split(".")[0] not in OUR_PACKAGES:
            raise
        _say_error(str(error))
        raise typer.Exit(EXIT_USER_ERROR) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except BrokenPipeError as error:
        from sweeps.terminal import leave_stdout, reader_is_gone

        if not reader_is_gone():
            raise
        leave_stdout()
        before = error.__context__
        raise typer.Exit(before.exit_code if isinstance(before, typer.Exit) else 0) from None


def _say_error(message: str) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)


def main() -> None:
    """Entry point of `tg-sweep`."""
    app()

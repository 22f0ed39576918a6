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

if TYPE_CHECKING:
    from rich.console import Console

    from reports.records import RunFolder
    from sweeps.spec import SweepSpec
    from transgan.data import ImageData

OUR_PACKAGES = ("transgan", "evaluation", "reports", "sweeps")
STARTED = time.monotonic()
FILE_WIDTH = 160
EXIT_USER_ERROR, EXIT_FAILED_TRIALS, EXIT_INTERRUPTED = 1, 3, 130

app = typer.Typer(
    help="Which depth, heads, learning rates and loss give the best images? Sweep and see.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Spec = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped spec.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one value of the spec; repeatable."),
]
Trials = Annotated[int | None, typer.Option(help="Number of trials, over the spec's.")]
RunPath = Annotated[Path, typer.Argument(metavar="DIR", help="A sweep's run folder.")]


@app.command()
def run(
    spec: Spec = "digits",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run folder; by default runs/NAME.")
    ] = None,
    set_: Set = None,
    trials: Trials = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to run on: auto, or host:port.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be done, and end.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option(help="Serve Ray's dashboard on localhost while the sweep runs.")
    ] = True,
) -> None:
    """Plan, train, score, report.

    Example: tg-sweep run digits --set budget.trials=4 --out runs/small
    """
    with _errors_in_one_line():
        from sweeps.spec import load_spec

        name, resolved = load_spec(spec, _overrides(set_, trials))
        path = out or Path("runs") / name
        if dry_run:
            _say_plan(resolved, name, path, _progress())
            return
        from sweeps.driver import usable_data
        from sweeps.folder import check_vacant, create_run

        check_vacant(path)
        with _progress().status("Reading the images …"):
            data = usable_data(resolved)
        _say_plan(resolved, name, path, _progress())
        _execute(create_run(path, resolved), resolved, data, name, address, dashboard)


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
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to run on: auto, or host:port.")
    ] = None,
    dashboard: Annotated[
        bool, typer.Option(help="Serve Ray's dashboard on localhost while the sweep runs.")
    ] = True,
) -> None:
    """Go on after any interruption; no finished trial is lost or repeated.

    Example: tg-sweep resume runs/digits
    """
    with _errors_in_one_line():
        from reports.records import RunFolder
        from sweeps.driver import usable_data
        from sweeps.folder import extend, restore_spec

        run_folder = RunFolder(path)
        resolved = restore_spec(run_folder)
        if run_folder.sweep.exists():
            run_folder.read_sweep()  # damaged, it is refused before any work is done
        if trials is not None:
            resolved = extend(run_folder, resolved, trials)
        data = usable_data(resolved)
        _execute(run_folder, resolved, data, path.name, address, dashboard)


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
        Path | None, typer.Option(metavar="FILE", help="Where to write the page.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write the table.")
    ] = None,
) -> None:
    """Build report.html and results.csv anew from a run folder.

    Example: tg-sweep report runs/digits --html digits.html
    """
    with _errors_in_one_line():
        from reports.build import build_report
        from reports.records import RunFolder

        build_report(path, html=html, csv=csv)
        print(html or RunFolder(path).report)
        print(csv or RunFolder(path).results)


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
        Path, typer.Argument(metavar="CHECKPOINT", help="A snapshot or checkpoint of a trial.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="FILE.png|DIR", help="A grid, or a folder of files.")
    ],
    num: Annotated[int, typer.Option(min=1, help="Number of images.")] = 64,
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


@app.command("import")
def import_(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT.pth", help="A file of the authors' weights.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write; made if need be.")],
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


def _say_plan(spec: SweepSpec, name: str, path: Path, console: Console) -> None:
    from sweeps.announcement import say_plan

    say_plan(spec, name, path, console)


def _overrides(assignments: list[str] | None, trials: int | None) -> tuple[str, ...]:
    more = [] if trials is None else [f"budget.trials={trials}"]
    return (*(assignments or ()), *more)


def _progress() -> Console:
    """Where progress and warnings go: stderr."""
    from rich.console import Console

    # Into a file or pipe, lines may be long: nothing is gained by breaking them.
    return Console(stderr=True, width=None if sys.stderr.isatty() else FILE_WIDTH)


def _result() -> Console:
    """Where results go: stdout."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else FILE_WIDTH)


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Turn the errors that our packages raise for users into one line and exit code 1."""
    try:
        yield
    except ValueError as error:
        if type(error).__module__.split(".")[0] not in OUR_PACKAGES:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise typer.Exit(EXIT_USER_ERROR) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def main() -> None:
    """Entry point of `tg-sweep`."""
    app()

"""What is said when the trials of a sweep are about to start: resources, scale, time, faults."""

from __future__ import annotations

from rich.console import Console

from reports.formats import counted
from reports.records import Forecast, MetricColumn
from sweeps.cluster import Cluster
from sweeps.spec import SweepSpec


def resources_text(spec: SweepSpec, cluster: Cluster, concurrent: int, device: str) -> str:
    """What there is, and what each of the trials that run at once has of it."""
    needs = spec.resources
    gpus = f", {cluster.gpus} GPU" if cluster.gpus else ""
    nodes = f" on {len(cluster.nodes)} nodes" if len(cluster.nodes) > 1 else ""
    workers = needs.scoring_workers
    scoring = f", scored by {workers} processes each" if workers > 1 else ""
    held = f", holding {needs.gpus:g} GPU each" if needs.gpus else ""
    shared = f", batches shared by {needs.workers} processes" if needs.workers > 1 else ""
    return (
        f"{cluster.cpus} CPU{gpus}{nodes}; {counted(concurrent, 'trial')} at once on "
        f"{device}, {counted(needs.threads, 'thread')} each"
        f"{held}{shared}{scoring}"
    )


def say_where(cluster: Cluster, resources: str, console: Console) -> None:
    """Where the sweep runs, and where Ray's dashboard is."""
    console.print(f"[bold]Resources[/]  {resources}", highlight=False)
    if cluster.dashboard_url:
        console.print(
            f"[bold]Dashboard[/]  {cluster.dashboard_url}  "
            f"[dim](it asks for a token: cat {cluster.token_path})[/]",
            highlight=False,
        )


def say_gpu_hours(spec: SweepSpec, used: float, console: Console) -> None:
    """What is left of `budget.gpu_hours`; nothing where that is not given."""
    hours = spec.budget.gpu_hours
    if hours is None:
        return
    if spec.resources.gpus:
        text = f"{hours:g} GPU-hours, {used:.3g} of them used"
    else:
        text = "[yellow]budget.gpu_hours limits nothing here[/]: trials hold no GPU"
    console.print(f"[bold]Budget[/]     {text}", highlight=False)


def say_scale(objective: MetricColumn, console: Console) -> None:
    """What real images and noise score; nothing where that was not measured."""
    if objective.floor is None or objective.ceiling is None:
        return
    console.print(
        f"[bold]Scale[/]      {objective.label}: {objective.floor:{objective.format}} "
        f"for real images, {objective.ceiling:{objective.format}} for noise",
        highlight=False,
    )


def say_time(trials: Forecast, total: Forecast, gone_seconds: float, console: Console) -> None:
    """How long the sweep will take.

    Args:
        trials: the forecast of what is still to be trained.
        total: the same from the command's start to the report.
        gone_seconds: since the command's start.
        console: where it is said.
    """
    console.print(
        f"[bold]Time[/]       about [bold]{total.seconds / 60:.1f} minutes[/] in all "
        f"({total.low_seconds / 60:.1f} to {total.high_seconds / 60:.1f}), {gone_seconds:.0f} s "
        f"of them gone; {trials.seconds_per_kimg:.2f} s per kimg, about "
        f"{trials.expected_kimg:.0f} kimg",
        highlight=False,
    )


def say_faults(spec: SweepSpec, hang_seconds: float, console: Console) -> None:
    """When a trial counts as hung, and how often a lost one is started again."""
    faults = spec.faults
    again = f"up to {counted(faults.retries, 'time')}" if faults.retries else "never"
    console.print(
        f"[bold]Faults[/]     a trial without progress for {hang_seconds / 60:.3g} min "
        f"counts as hung; trials whose process is lost are started again {again}",
        highlight=False,
    )

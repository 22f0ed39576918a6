"""Ray itself: joined or started, told what it needs, and shut down.

Ray reads part of its settings when it is imported, so whatever wants Ray asks this file for it
first.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.interruption import shielding_children

RAY_SETTINGS = {
    "RAY_AUTH_MODE": "token",  # the dashboard's job interface runs any command: never leave it open
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, Ray would upload the working directory
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # its kill ends the whole sweep, not the one trial
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the user's data stay valid
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without GPU sees none
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our records are the log
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # told in our words
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the sweep has its own
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never read again
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
}
OBJECT_STORE_BYTES = 200 * 2**20
CONNECT_SECONDS = 5.0


class ClusterError(ValueError):
    """No cluster where one was said to be, or not the resources that a trial needs."""


@dataclass(frozen=True)
class Cluster:
    """What there is to run on."""

    cpus: int
    gpus: int
    dashboard_url: str | None
    token_path: Path
    """Where the token lies that the dashboard asks for."""


def prepare_environment() -> None:
    """Set what Ray reads at import; a setting that the user has made stays."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def open_cluster(address: str | None, *, dashboard: bool) -> Iterator[Cluster]:
    """Start Ray on this machine, or join the cluster at `address`, until the block ends.

    Raises:
        ClusterError: nothing answers at `address`.
    """
    if address is not None:
        _check_reachable(address)
    prepare_environment()
    import ray

    for name in ("ray", "ray.tune", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if address is None:
            with shielding_children():
                context = ray.init(
                    address="local",
                    include_dashboard=dashboard,
                    dashboard_host="127.0.0.1",
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    object_store_memory=OBJECT_STORE_BYTES,
                )
        else:
            context = ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except ConnectionError as error:
        raise ClusterError(
            f"--address {address}: no Ray cluster answers there ({str(error).splitlines()[0]}); "
            "start one with `ray start --head`, or leave --address out to run on this machine"
        ) from None
    try:
        found = ray.cluster_resources()
        yield Cluster(
            cpus=int(found.get("CPU", 0)),
            gpus=int(found.get("GPU", 0)),
            dashboard_url=f"http://{context.dashboard_url}" if context.dashboard_url else None,
            token_path=_private_token(),
        )
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse a host and port at which nothing listens: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"--address {address}: nothing answers there ({error}); start a cluster with "
            "`ray start --head`, or leave --address out to run on this machine"
        ) from None


def _private_token() -> Path:
    """The file of Ray's token, made readable by its owner alone (Ray leaves that to the umask)."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    if path.exists():
        path.chmod(0o600)
    return path


def map_on_workers(
    function: Callable[..., float], arguments: Sequence[tuple[Any, ...]], *, cpus: int, gpus: float
) -> list[tuple[float, float]]:
    """Call `function` once for each tuple of arguments, as many at once as `cpus` and `gpus` allow.

    The processes are started for it, and import what a trial's does, as each trial's process will:
    what was not spent in the calls is what that takes.

    Returns:
        For each call its result and the seconds it took.
    """
    import ray

    def timed(*values: Any) -> tuple[float, float]:
        import sweeps.tuning  # noqa: F401  (what a trial's process imports)

        started = time.perf_counter()
        result = function(*values)
        return result, time.perf_counter() - started

    # With an environment of their own, Ray can't give the calls its idle processes.
    environment = {"env_vars": {"TG_SWEEP_CALIBRATION": "1"}}
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, runtime_env=environment)(timed)
    results: list[tuple[float, float]] = ray.get([remote.remote(*values) for values in arguments])
    return results

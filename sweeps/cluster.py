"""Ray itself: joined or started, told what it needs, and shut down.

Ray reads part of its settings when it is imported, so whatever wants Ray asks this file for it
first.
"""

from __future__ import annotations

import logging
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from reports.formats import listed
from sweeps.cluster_address import ClusterError as ClusterError
from sweeps.cluster_address import check_address, not_joined
from sweeps.devices import this_machine
from sweeps.interruption import shielding_children
from sweeps.resources import Node
from sweeps.shadowing import check_working_directory

Result = TypeVar("Result")

MEMORY_MONITOR = "RAY_memory_monitor_refresh_ms"
RAY_SETTINGS = {
    "RAY_AUTH_MODE": "token",  # the dashboard's job interface runs any command: never leave it open
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, Ray would upload the working directory
    "RAY_USAGE_STATS_ENABLED": "0",
    MEMORY_MONITOR: "0",  # its kill ends the whole sweep, not the one trial
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the user's data stay valid
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a trial without GPU sees none
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our records are the log
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # told in our words
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the sweep has its own
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never read again
    "TUNE_FORCE_TRIAL_CLEANUP_S": "10",
}
LEAST_CLEANUP_SECONDS = 10
"""Below it, the driver stands still until each process that is to end has ended."""
OBJECT_STORE_BYTES = 200 * 2**20
EXAMINE_SECONDS = 180.0
"""Longest that a node may take to start a process that imports torch."""
END_SECONDS = 5.0
"""Longest that it may take until the end of a process is known."""


@dataclass(frozen=True)
class Cluster:
    """What there is to run on."""

    nodes: tuple[Node, ...]
    dashboard_url: str | None
    token_path: Path
    """Where the token lies that the dashboard asks for."""
    notes: tuple[str, ...] = ()
    """What the user should know of the nodes, a line each."""

    @property
    def cpus(self) -> int:
        """CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    def examined(self, run: Path) -> Cluster:
        """The same, once each node has been seen to have the program, and `run` as a folder.

        Then the memory of each node and its GPUs is known, too, and whether Ray watches it.

        Raises:
            ClusterError: a node lacks either.
        """
        found = list(_examined(self.nodes, run))
        watched = [node.name for node, monitors_memory in found if monitors_memory]
        note = (
            f"Ray on {listed(watched)} kills processes itself for want of memory, and such a kill "
            "ends the whole sweep, resumable, where the kernel's would end the one trial: better "
            f"export {MEMORY_MONITOR}=0 there before its `ray start`"
        )
        nodes = tuple(node for node, _ in found)
        return replace(self, nodes=nodes, notes=(note,) if watched else ())


def prepare_environment() -> None:
    """Set what Ray reads at import; a setting that the user has made stays, if it can be borne."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    cleanup = "TUNE_FORCE_TRIAL_CLEANUP_S"
    with suppress(ValueError):  # Tune says so itself
        os.environ[cleanup] = str(max(LEAST_CLEANUP_SECONDS, int(os.environ[cleanup])))


@contextmanager
def open_cluster(address: str | None, *, dashboard: bool) -> Iterator[Cluster]:
    """Start Ray on this machine, or join the cluster at `address`, until the block ends.

    Raises:
        ClusterError: the cluster at `address` can't be joined, or has no CPU.
        ShadowedPackageError: the processes would load other packages in place of ours.
    """
    check_working_directory()
    if address is not None:
        check_address(address)
    prepare_environment()
    import ray

    for name in ("ray", "ray.tune", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
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
        try:
            context = ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
            raise not_joined(address, error) from None
    try:
        nodes = tuple(living_nodes())
        if not nodes:
            raise ClusterError(
                f"--address {address}: no node of the cluster has a CPU for trials; start nodes "
                "that have (`ray start --address …`), or restart the one there is without "
                "--num-cpus 0"
            )
        yield Cluster(
            nodes=nodes if address is not None else tuple(map(_here, nodes)),
            dashboard_url=f"http://{context.dashboard_url}" if context.dashboard_url else None,
            token_path=_private_token(),
        )
    finally:
        ray.shutdown()


def living_nodes() -> Iterator[Node]:
    """The nodes of the cluster that this process has joined, but those that take no work."""
    import ray

    for node in ray.nodes():
        has = node["Resources"]
        if node["Alive"] and has.get("CPU", 0) >= 1:
            yield Node(node["NodeID"], int(has["CPU"]), int(has.get("GPU", 0)))


def _here(node: Node) -> Node:
    """The one node that this process has started."""
    return this_machine()._replace(cpus=node.cpus, gpus=node.gpus)


def node_name(node_id: str, host: str) -> str:
    """How a node is called where people read it: two on one machine are told apart."""
    return f"{host}/{node_id[:6]}"


def _examined(nodes: Sequence[Node], run: Path) -> Iterator[tuple[Node, bool]]:
    """The nodes, each looked at by a process on it, and whether Ray watches their memory."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    with tempfile.NamedTemporaryFile(dir=run, prefix=".seen-from-") as token:
        look = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(_look_around)
        looks = [
            look.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.name, soft=False)
            ).remote(str(Path(token.name).absolute()))
            for node in nodes
        ]
        for node, seen in zip(nodes, looks, strict=True):
            try:
                host, has_run, monitors_memory, there = ray.get(seen, timeout=EXAMINE_SECONDS)
            except ray.exceptions.GetTimeoutError:
                raise ClusterError(
                    f"--address: no process of tg-sweep came up on node {node.name[:6]} within "
                    f"{EXAMINE_SECONDS:g} s; see whether the node is overloaded, and try again"
                ) from None
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                raise ClusterError(
                    f"--address: node {node.name[:6]} can't run tg-sweep ({reason}); install the "
                    "same version of it there, in the Python that Ray runs with"
                ) from None
            name = node_name(node.name, host)
            if not has_run:
                raise ClusterError(
                    f"--out {run}: node {name} does not see this folder, and its trials write "
                    "there; give a folder that all nodes have under the same path, such as a "
                    "network share"
                )
            sizes = {"gpu_gb": there.gpu_gb, "memory_gb": there.memory_gb}
            yield node._replace(name=name, **sizes), monitors_memory


def _look_around(token: str) -> tuple[str, bool, bool, Node]:
    """What the node of this process is found to have.

    Returns:
        Its host name, whether it can write beside `token`, whether Ray watches its memory, and what
        torch and the system say of it.
    """
    # Ray hides the GPUs from what has asked for none.
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    has_run = Path(token).exists() and os.access(Path(token).parent, os.W_OK)
    monitors_memory = os.environ.get(MEMORY_MONITOR) != "0"  # as it was where Ray was started
    return socket.gethostname(), has_run, monitors_memory, this_machine()


def _private_token() -> Path:
    """The file of Ray's token, made readable by its owner alone (Ray leaves that to the umask)."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    if path.exists():
        path.chmod(0o600)
    return path


def this_node() -> str:
    """The name of the node that this process, one of Ray's, is on."""
    import ray

    return node_name(ray.get_runtime_context().get_node_id(), socket.gethostname())


def held_gpus() -> tuple[str, ...]:
    """The ids, on this node, of the GPUs that this process, one of Ray's, holds or shares."""
    import ray

    return tuple(str(gpu) for gpu in ray.get_gpu_ids())


def gauge(name: str, description: str, tags: tuple[str, ...]) -> Any:
    """A gauge that Ray collects from this process, one of its own, for its dashboard."""
    from ray.util.metrics import Gauge

    return Gauge(name, description=description, tag_keys=tags)


def start_beside(
    kind: type, *arguments: Any, bundle: int, of: Mapping[str, float]
) -> Any:  # Ray's handles have no type
    """Start an object in a process of its own, in a bundle that is reserved for this one's trial.

    It ends with this process, if not before.

    Args:
        kind: class of the object.
        arguments: of the class.
        bundle: index of the bundle.
        of: what the bundle has.
    """
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    reserved = PlacementGroupSchedulingStrategy(
        ray.util.get_current_placement_group(), placement_group_bundle_index=bundle
    )
    actor = ray.remote(
        num_cpus=of.get("CPU", 0.0), num_gpus=of.get("GPU", 0.0), scheduling_strategy=reserved
    )(kind)
    return actor.remote(*arguments)


def results_of(calls: Sequence[Any]) -> list[Any]:
    """The results of remote calls, once all are there; what a call raised is raised."""
    import ray

    return ray.get(list(calls))


def ended_with(call: Any) -> BaseException | None:
    """What a remote call, or its process, has ended with, if it has not ended well."""
    import ray

    try:
        ray.get(call, timeout=END_SECONDS)
    except ray.exceptions.GetTimeoutError:
        return None
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, BaseException) else error
    except ray.exceptions.RayError as error:
        return error
    return None


def is_lost_process(error: BaseException) -> bool:
    """Whether a process of Ray's, or its node, has ended without a word."""
    import ray

    return isinstance(error, ray.exceptions.RayActorError)


def stop(actor: Any) -> None:
    """End the process of what was started, at once."""
    import ray

    ray.kill(actor)


def map_on_workers(
    function: Callable[[Any, Any], Result],
    shared: Any,
    values: Sequence[Any],
    *,
    cpus: int,
    gpus: float,
) -> tuple[list[Result], float]:
    """Call `function` with `shared` and each of `values`, as many at once as there is room for.

    The processes are started for it, and import what a trial's does, as each trial's process will.

    Args:
        function: what to call.
        shared: its first argument, of which each node is given one copy.
        values: its second.
        cpus: that a call takes.
        gpus: that a call takes.

    Returns:
        The results in the order of the values, and the seconds from a call to its first line where
        a process had to be started for it: their mean.
    """
    import ray

    def timed(shared: Any, value: Any) -> tuple[Result, float, tuple[str, int]]:
        import sweeps.tuning  # noqa: F401  (what a trial's process imports)

        started = time.perf_counter()
        result = function(shared, value)
        process = ray.get_runtime_context().get_node_id(), os.getpid()
        return result, time.perf_counter() - started, process

    # With an environment of their own, Ray can't give the calls its idle processes.
    environment = {"env_vars": {"TG_SWEEP_CALIBRATION": "1"}}
    remote = ray.remote(num_cpus=cpus, num_gpus=gpus, runtime_env=environment)(timed)
    began, held = time.monotonic(), ray.put(shared)
    calls = waiting = [remote.remote(held, value) for value in values]
    to_start: dict[tuple[str, int], float] = {}
    while waiting:
        (ended, *_), waiting = ray.wait(waiting)
        _, seconds, process = ray.get(ended)
        # The first in a process has waited for its start, which the others have not.
        to_start.setdefault(process, time.monotonic() - began - seconds)
    return [result for result, *_ in ray.get(calls)], statistics.fmean(to_start.values())

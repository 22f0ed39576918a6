"""The address of a Ray cluster, as a user gives it: what can't be joined is said, with why."""

from __future__ import annotations

import shlex
import socket
import sys

CONNECT_SECONDS = 5.0
DASHBOARD_PORT = 8265


class ClusterError(ValueError):
    """No cluster where one was said to be, or not the resources that a trial needs."""


def check_address(address: str) -> None:
    """Refuse what Ray itself would try for minutes.

    Raises:
        ClusterError: it is one of Ray Client, or nothing listens there.
    """
    if address.startswith("ray://"):
        # Behind it, what decides about trials would run apart from its files.
        raise ClusterError(
            f"--address {address}: a sweep can't be driven through Ray Client; have the cluster "
            f"run it, with --out on a folder that all its nodes have: {_job_command(address)}"
        )
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"--address {address}: nothing answers there ({error}); start a cluster with "
            "`ray start --head`, or leave --address out to run on this machine"
        ) from None


def not_joined(address: str, error: Exception) -> ClusterError:
    """What to do about an address that Ray could not join, though something listens there.

    Args:
        address: as given.
        error: what Ray raised.
    """
    reason = _reason(error)
    if "authentication" in reason.lower():
        return ClusterError(
            f"--address {address}: the cluster's token is wanted, and this machine has none, or "
            "another one; copy the first node's ~/.ray/auth_token to the same place here (mode "
            "600), or export RAY_AUTH_MODE=disabled if the cluster was started without a token"
        )
    if not isinstance(error, ConnectionError):
        return ClusterError(
            f"--address {address}: Ray can't join the cluster there ({reason}); give all nodes "
            "and this machine the same Python and Ray"
        )
    if ":" in address:
        return ClusterError(
            f"--address {address}: no node of a Ray cluster there is on this machine ({reason}), "
            "and a sweep is driven from one of its nodes; have the cluster run it, with --out on "
            f"a folder that all its nodes have: {_job_command(address)}"
        )
    return ClusterError(
        f"--address {address}: no Ray cluster answers there ({reason}); start one with "
        "`ray start --head`, or leave --address out to run on this machine"
    )


def _job_command(address: str) -> str:
    """What has the cluster run this very command."""
    host = address.removeprefix("ray://").rpartition(":")[0] or "HOST"
    command = shlex.join(["tg-sweep", *sys.argv[1:]]).replace(address, "auto")
    return f"ray job submit --address http://{host}:{DASHBOARD_PORT} -- {command}"


def _reason(error: BaseException) -> str:
    """What Ray says in the end, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".")

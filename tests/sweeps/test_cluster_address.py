"""What is said of an address that can't be joined."""

from __future__ import annotations

import pytest

from sweeps.cluster_address import not_joined


def failed(error: Exception, cause: str) -> Exception:
    error.__cause__ = RuntimeError(cause)
    return error


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (
            "head:6379",
            failed(ConnectionError("Failed to connect"), "No node info found.\n"),
            "no node of a Ray cluster there is on this machine (No node info found), and a sweep "
            "is driven from one of its nodes; have the cluster run it, with --out on a folder that "
            "all its nodes have: ray job submit --address http://head:8265 -- tg-sweep run "
            "--address auto",
        ),
        (
            "auto",
            ConnectionError("Could not find any running Ray instance."),
            "no Ray cluster answers there (Could not find any running Ray instance); start one",
        ),
        (
            "head:6379",
            RuntimeError("Token authentication is enabled but no authentication token was found"),
            "copy the first node's ~/.ray/auth_token to the same place here (mode 600), or export "
            "RAY_AUTH_MODE=disabled",
        ),
        (
            "auto",
            RuntimeError("Version mismatch: The cluster was started with:\n  Ray: 1\n"),
            "Ray can't join the cluster there (Version mismatch: The cluster was started with: "
            "Ray: 1); give all nodes and this machine the same Python and Ray",
        ),
    ],
)
def test_what_ray_raises_is_said_with_the_way_out(
    address: str, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["tg-sweep", "run", "--address", address])
    text = str(not_joined(address, error))
    assert text.startswith(f"--address {address}: ")
    assert said in text

"""What is joined at an address, and what is started without one: on real Rays."""

import json
import os
import subprocess
import sys

import pytest

from sweeps.cluster import prepare_environment

prepare_environment()
os.environ["RAY_AUTH_TOKEN"] = "0123456789abcdef" * 4

from ray.cluster_utils import Cluster as PretendCluster  # noqa: E402  (after its environment)

from sweeps.cluster import ClusterError, open_cluster  # noqa: E402

pytestmark = pytest.mark.slow

START_LOCALLY = """
import json, os, urllib.error, urllib.request
from pathlib import Path
from sweeps.cluster import open_cluster, prepare_environment

def status(url, **headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers)).status
    except urllib.error.HTTPError as error:
        return error.code

def listeners(port):
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [address for address, at in listening if int(at, 16) == port]

def settings():
    names = ["RAY_AUTH_MODE", "RAY_ENABLE_UV_RUN_RUNTIME_ENV", "RAY_USAGE_STATS_ENABLED"]
    return {name: os.environ.get(name) for name in names}

os.umask(0o022)
prepare_environment()
asked_for = settings()
with open_cluster(None, dashboard=True) as cluster:
    import ray
    url, token = cluster.dashboard_url, cluster.token_path
    print(json.dumps({
        "without token": status(f"{url}/api/jobs/"),
        "with token": status(f"{url}/api/jobs/", Authorization=f"Bearer {token.read_text()}"),
        "mode": oct(token.stat().st_mode & 0o777),
        "listeners": listeners(int(url.rpartition(":")[2])),
        "settings": asked_for,
        "settings are a worker's": ray.get(ray.remote(settings).remote()) == asked_for,
    }))
"""


@pytest.fixture(scope="module")
def nodes():
    """A pretend cluster that a token guards, of one node without a CPU."""
    head = {"num_cpus": 0, "dashboard_port": None}
    cluster = PretendCluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def python(code, *words, home, **settings):
    """Runs code in a process that has none of this one's settings of Ray."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env=rest | {"HOME": str(home)} | settings,
        capture_output=True,
        text=True,
        timeout=300,
    )


def doctor(address, home, **settings):
    """What `tg-sweep doctor` says of an address, in one line."""
    code = "from sweeps.cli import main; main()"
    done = python(code, "doctor", "--address", address, home=home, **settings)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stdout.split())


def test_what_is_started_here_is_open_to_this_user_alone(tmp_path):
    done = python(START_LOCALLY, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "without token": 401,
        "with token": 200,
        "mode": "0o600",
        "listeners": ["0100007F"],
        "settings": {
            "RAY_AUTH_MODE": "token",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        "settings are a worker's": True,
    }


def test_cleanup_that_would_hold_up_the_driver_is_lengthened(monkeypatch):
    for given, taken in ((None, "10"), ("5", "10"), ("60", "60"), ("soon", "soon")):
        environment = {"TUNE_FORCE_TRIAL_CLEANUP_S": given} if given else {}
        monkeypatch.setattr(os, "environ", environment)
        prepare_environment()
        assert environment["TUNE_FORCE_TRIAL_CLEANUP_S"] == taken


def test_cluster_that_has_no_cpu_yet_is_refused(nodes):
    with (
        pytest.raises(ClusterError, match=r"no node of the cluster has a CPU .* start nodes"),
        open_cluster(nodes.address, dashboard=False),
    ):
        pass


def test_node_whose_ray_kills_for_want_of_memory_is_named(nodes, tmp_path):
    monitored = nodes.add_node(num_cpus=1, env_vars={"RAY_memory_monitor_refresh_ms": "60000"})
    try:
        with open_cluster(nodes.address, dashboard=False) as cluster:
            (note,) = cluster.examined(tmp_path).notes
            assert monitored.node_id[:6] in note
            assert nodes.head_node.node_id[:6] not in note
            assert "export RAY_memory_monitor_refresh_ms=0 there" in note
    finally:
        nodes.remove_node(monitored)


@pytest.mark.parametrize("settings", [{}, {"RAY_AUTH_TOKEN": "fedcba9876543210" * 4}])
def test_machine_without_the_clusters_token_is_told_to_copy_it(nodes, tmp_path, settings):
    said = doctor(nodes.address, tmp_path, **settings)
    assert "the cluster's token is wanted, and this machine has none, or another one" in said
    assert "RAY_AUTH_MODE=disabled" in said


def test_machine_outside_the_cluster_is_told_to_submit_a_job(nodes, tmp_path):
    nodes.head_node.kill_raylet()  # then no node of the cluster is on this machine
    said = doctor(
        nodes.address,
        tmp_path,
        RAY_AUTH_TOKEN=os.environ["RAY_AUTH_TOKEN"],
        RAY_gcs_server_request_timeout_seconds="5",
    )
    assert "no node of a Ray cluster there is on this machine" in said
    assert "ray job submit --address http://" in said

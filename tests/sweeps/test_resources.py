from pathlib import Path

import pytest

from sweeps.arguments import given_path, given_run
from sweeps.cluster import ClusterError, open_cluster
from sweeps.derived_resources import derive_resources
from sweeps.feasibility import infeasible_because
from sweeps.memory import needed_gb
from sweeps.plan import device_for, fitting_trials
from sweeps.resources import Node, Resources
from sweeps.run_place import RunPlace
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError

BUDGET = "budget={trials: 40}"
HEADS = "search={generator.num_heads: {choice: [2, 4]}}"


def spec_with(*overrides, name="digits"):
    return load_spec(name, overrides)[1]


@pytest.fixture(scope="module")
def need():
    """GB of a GPU that the largest trial of the tests' space takes."""
    spec = spec_with(BUDGET, HEADS)
    settings = [{"generator.num_heads": heads} for heads in (2, 4)]
    return max(needed_gb(spec.trial_config(each, 0), on_gpu=True) for each in settings)


def derived(nodes, *overrides):
    return derive_resources(spec_with(BUDGET, HEADS, *overrides), nodes).spec.resources


@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "cpus", "gpus", "share"),
    [(1.5, 8, 1, 1.0), (2.5, 8, 1, 0.5), (3.5, 8, 1, 0.3333), (99, 8, 1, 0.25), (99, 4, 2, 0.5)],
)
def test_trials_share_a_gpu_as_memory_and_cores_allow(need, times, cpus, gpus, share):
    node = Node("one", cpus, gpus, need * times)
    resources = derived([node])
    assert resources.gpus_per_trial == share
    assert resources.cpus_per_trial == min(4, int(cpus / gpus * share + 1e-2))
    assert resources.trials_on([node]) == gpus * int(1 / share)


def test_fewer_trials_than_gpus_share_none(need):
    nodes = [Node("one", 8, 4, need * 9)]
    resources = derived(nodes, "budget={trials: 3}")
    assert (resources.gpus_per_trial, resources.cpus_per_trial) == (1.0, 2)


@pytest.mark.slow
def test_trial_that_fits_no_gpu_alone_is_shared_by_several():
    spec = spec_with("training.batch_size=512", BUDGET, HEADS)
    settings = {"generator.num_heads": 2}
    config = spec.trial_config(settings, 0)
    half = needed_gb(config, on_gpu=True, workers=2)
    assert half < needed_gb(config, on_gpu=True)
    node = Node("one", 8, 2, half * 1.05)
    found = derive_resources(spec, [node])
    assert (found.spec.resources.gpus_per_trial, found.spec.resources.workers) == (2.0, 2)
    assert fitting_trials(found.spec, [node]) == 1
    assert "a part of each batch on each" in found.reason
    limited = found.spec.resources.model_copy(update={"memory_gb": node.gpu_gb})
    assert (
        infeasible_because(found.spec.model_copy(update={"resources": limited}), settings) is None
    )


def test_trial_that_fits_nowhere_has_a_gpu_and_is_refused_as_it_is_proposed(need):
    found = derive_resources(spec_with(BUDGET, HEADS), [Node("one", 8, 1, need / 2)])
    assert found.spec.resources.gpus_per_trial == 1.0
    assert "refused as proposed" in found.reason


@pytest.mark.parametrize(
    "nodes",
    [[Node("no GPU", 16, 0)], [Node("one that torch does not find", 16, 4)]],
)
def test_without_a_gpu_that_torch_finds_cores_are_shared_out(nodes):
    resources = derived(nodes, "budget={trials: 6}")
    assert (resources.gpus_per_trial, resources.cpus_per_trial) == (0.0, 2)
    assert derived([Node("many", 64, 0)], "budget={trials: 2}").cpus_per_trial == 4


def test_what_the_user_gives_stays():
    given = spec_with("resources={gpus_per_trial: 0.2, cpus_per_trial: 3}")
    assert derive_resources(given, [Node("one", 8, 1, 80.0)]) == (given, None)


def test_workers_of_a_trial_are_on_one_node():
    two = Resources(gpus_per_trial=2)
    assert (two.workers, len(two.bundles), two.bundles[0]["GPU"]) == (2, 2, 1.0)
    nodes = [Node("a", 8, 3), Node("b", 8, 1)]
    assert two.trials_on(nodes) == 1
    with pytest.raises(SpecError, match="gpus_per_trial: 4 wanted, but the nodes have at most 3"):
        fitting_trials(spec_with("resources.gpus_per_trial=4"), nodes)
    with pytest.raises(SpecError, match="3 CPUs and 1 GPUs a trial wanted, and no node has both"):
        fitting_trials(
            spec_with("resources={gpus_per_trial: 1, cpus_per_trial: 3}"),
            [Node("a", 8, 0), Node("b", 1, 1)],
        )


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("{gpus_per_trial: 1.5}", "1.5 is neither at most 1 nor a whole number"),
        ("{gpus_per_trial: 2, workers_per_trial: 1}", "each worker computes on one"),
        ("{gpus_per_trial: 1, workers_per_trial: 2}", "each worker computes on one"),
        ("{gpus_per_trial: 0, device: cuda}", "trials without GPUs see none"),
        ("{workers_per_trial: 2, scoring_workers: 2}", "leave scoring_workers out"),
        ("{device: tpu}", "tpu"),
    ],
)
def test_resources_that_contradict_each_other_are_refused(resources, message):
    with pytest.raises(SpecError, match=message):
        spec_with(f"resources={resources}")


def test_gpus_may_be_held_for_nothing_but_to_see_where_trials_go():
    spec = spec_with("resources={gpus_per_trial: 1, device: cpu}")
    assert device_for(spec) == "cpu"
    assert device_for(spec_with("resources={gpus_per_trial: 1}")) == "cuda"


def test_ray_client_is_refused_with_the_command_that_does_it(monkeypatch):
    arguments = ["tg-sweep", "run", "my spec.yaml", "--address", "ray://head:10001"]
    monkeypatch.setattr("sys.argv", arguments)
    with (
        pytest.raises(
            ClusterError,
            match=r"ray job submit --address http://head:8265 -- "
            r"tg-sweep run 'my spec.yaml' --address auto$",
        ),
        open_cluster("ray://head:10001", dashboard=False),
    ):
        pass


def test_path_may_be_a_file_url_and_no_other(tmp_path):
    assert given_path(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert given_path("file://localhost/runs/mine") == Path("/runs/mine")
    with pytest.raises(Exception, match=r"only a sweep's run folder .* mount it"):
        given_path("s3://bucket/run")


def test_run_folder_may_be_in_a_store(tmp_path):
    assert given_run("s3://bucket/run/") == RunPlace(uri="s3://bucket/run")
    assert given_run("fsspec+sftp://host/a/b").uri == "fsspec+sftp://host/a/b"
    assert given_run("runs/mine") == RunPlace(path=Path("runs/mine"))
    assert given_run(f"file://{tmp_path}") == RunPlace(path=tmp_path)

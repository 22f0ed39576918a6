import json
import re
from pathlib import Path

import pytest

from sweeps.arguments import given_path, given_run
from sweeps.cluster import ClusterError, open_cluster
from sweeps.derived_resources import derive_resources, largest_need
from sweeps.devices import USUAL_GPUS_GB, Device
from sweeps.feasibility import infeasible_because
from sweeps.fitting import fit, memory_needs
from sweeps.memory import needed_gb
from sweeps.plan import device_for, fitting_trials
from sweeps.resources import Node, Resources
from sweeps.run_place import RunPlace
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError

SPECS = Path(__file__).parents[2] / "sweeps" / "specs"
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


@pytest.mark.slow
def test_plan_knows_that_trials_are_shared_by_several_gpus():
    given = ("search={}", "resources.gpus_per_trial=2")
    spec = spec_with("training.batch_size=512", BUDGET, *given)
    whole, half = (needed_gb(spec.training, on_gpu=True, workers=workers) for workers in (1, 2))
    needs = memory_needs(spec)
    assert needs[-1].gpu_gb == half < whole
    found = fit(spec, needs, Device("a GPU", half * 1.05, is_gpu=True, is_here=False))
    assert (found.num_fitting, found.too_large) == (len(needs), ())
    small = Device("a small GPU", half * 0.9, is_gpu=True, is_here=False)
    way_out = fit(spec, needs, small).way_out
    assert way_out is not None
    name, value = way_out.removeprefix("training.").split(": ")
    changed = spec.training.model_copy(update={name: json.loads(value)})
    assert needed_gb(changed, on_gpu=True, workers=2) <= small.memory_gb


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


@pytest.fixture
def need_4(monkeypatch):
    """The largest trials need 4 GB, of a GPU or of a machine's memory."""
    monkeypatch.setattr("sweeps.derived_resources.needed_gb", lambda *_, **__: 4.0)


@pytest.mark.parametrize(
    ("cpus", "memory", "trials", "at_once", "cpus_each"),
    [
        (64, 32.0, 40, 7, 9),  # shares of 8 cores would be 8 trials, and 32 GB without the 2
        (64, 400.0, 40, 40, 1),
        (64, 32.0, 6, 6, 4),
        (4, 5.0, 40, 1, 4),  # less than one needs: it is tried all the same
        (4, None, 40, 4, 1),
    ],
)
def test_no_more_trials_than_memory_holds_share_the_cores(
    need_4, cpus, memory, trials, at_once, cpus_each
):
    node = Node("one", cpus, 0, memory_gb=memory)
    found = derive_resources(spec_with(f"budget={{trials: {trials}}}", HEADS), [node])
    resources = found.spec.resources
    at_most = min(resources.trials_on([node]), trials)
    assert (at_most, resources.cpus_per_trial) == (at_once, cpus_each)
    says_why = "the largest trials need about 4 of"
    assert (says_why in found.reason) == (memory is not None and at_once < min(cpus, trials))


def test_no_node_of_several_has_more_trials_than_it_holds(need_4):
    nodes = [Node("a", 16, 0, memory_gb=14.0), Node("b", 16, 0, memory_gb=100.0)]
    resources = derive_resources(spec_with(BUDGET, HEADS), nodes).spec.resources
    assert [resources.trials_on([node]) for node in nodes] == [3, 3]
    assert fitting_trials(spec_with(f"resources.cpus_per_trial={resources.cpus}"), nodes) == 6


def test_trials_whose_cores_are_given_are_held_to_memory_by_their_number(need_4):
    node = Node("one", 64, 0, memory_gb=32.0)
    given = (BUDGET, HEADS, "resources={cpus_per_trial: 2, gpus_per_trial: 0}")
    found = derive_resources(spec_with(*given), [node])
    assert found.spec.budget.concurrent_trials == 7
    assert found.reason.startswith("7 trials at once: the largest trials need about 4 of 32 GB")
    both = spec_with(*given[1:], "budget={trials: 40, concurrent_trials: 20}")
    assert derive_resources(both, [node]) == (both, None)


def test_of_the_same_networks_those_with_the_largest_loss_are_looked_at(monkeypatch):
    looked_at = []

    def needed(config, *, on_gpu, workers):
        looked_at.append((config.loss.name, config.loss.resolved_penalty))
        return 4.0

    monkeypatch.setattr("sweeps.derived_resources.needed_gb", needed)
    losses = "search={loss.name: {choice: [nonsaturating, rpgan, hinge]}}"
    derive_resources(spec_with(BUDGET, losses), [Node("one", 8, 1, 16.0)])
    assert {name for name, _ in looked_at} == {"rpgan"}


def test_workers_and_scoring_processes_of_a_trial_take_of_one_memory(monkeypatch):
    asked = []

    def needed(config, *, on_gpu, workers):
        asked.append((on_gpu, workers))
        return 4.0

    monkeypatch.setattr("sweeps.derived_resources.needed_gb", needed)
    node = Node("one", 64, 0, memory_gb=34.0)
    shared = derive_resources(spec_with(BUDGET, HEADS, "resources.workers_per_trial=2"), [node])
    assert set(asked) == {(False, 2)}
    assert shared.spec.resources.cpus_per_trial % 2 == 0
    scored = derive_resources(spec_with(BUDGET, HEADS, "resources.scoring_workers=2"), [node])
    assert scored.spec.resources.trials_on([node]) == 4


@pytest.mark.slow
def test_trial_of_several_workers_takes_of_a_cpu_what_they_take_together():
    config = spec_with().training
    one, two = (needed_gb(config, on_gpu=False, workers=workers) for workers in (1, 2))
    assert one < two < 2 * one


def test_what_the_user_gives_stays():
    given = spec_with("resources={gpus_per_trial: 0.2, cpus_per_trial: 3}")
    assert derive_resources(given, [Node("one", 8, 1, 80.0)]) == (given, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "cifar10",
        *(
            pytest.param(name, marks=pytest.mark.long)  # a minute and more each
            for name in ("stl10", "celeba64", "celeba128", "celebahq256")
        ),
    ],
)
def test_shipped_spec_says_on_which_gpus_its_largest_trials_fit(name):
    header, _, _ = (SPECS / f"{name}.yaml").read_text(encoding="utf-8").partition("\ndata:")
    said = re.search(r"one trial a GPU of at least (\d+) GB", header.replace("\n# ", " "))
    assert said is not None
    needed = largest_need(load_spec(name)[1], 0.0)
    assert needed <= int(said[1])
    if name in ("cifar10", "stl10"):  # the others' images, which a GPU holds too, are gigabytes
        assert max(gb for gb in USUAL_GPUS_GB if gb < int(said[1])) < needed


def test_workers_of_a_trial_are_on_one_node():
    two = Resources(gpus_per_trial=2)
    assert (two.workers, len(two.bundles), two.bundles[0]["GPU"]) == (2, 2, 1.0)
    nodes = [Node("a", 8, 3), Node("b", 8, 1)]
    assert two.trials_on(nodes) == 1
    with pytest.raises(SpecError, match="gpus_per_trial: 4 wanted, but the nodes have at most 3"):
        fitting_trials(spec_with("resources.gpus_per_trial=4"), nodes)
    with pytest.raises(SpecError, match="and no node has both; give cpus_per_trial of at most 1,"):
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

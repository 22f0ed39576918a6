import json

import pytest

from sweeps.devices import (
    USUAL_GPUS_GB,
    Device,
    devices,
    devices_of,
    group_limits,
    memory_gb,
    this_machine,
)
from sweeps.fitting import fit, memory_needs
from sweeps.memory import needed_gb
from sweeps.resources import Node
from sweeps.spec import load_spec
from transgan.config import TrainingConfig

pytestmark = pytest.mark.slow  # each kind of trial is rehearsed

SPACE = "search={batch_size: {choice: [16, 128]}, optimizer.generator_lr: {uniform: [1e-3, 2e-3]}}"


def spec_with(*overrides):
    return load_spec("digits", (SPACE, *overrides))[1]


def gpu_of(gb):
    return Device("a GPU", gb, is_gpu=True, is_here=False)


@pytest.mark.slow
def test_needs_are_one_a_kind_that_differs_in_memory_least_first():
    told = []
    needs = memory_needs(spec_with(), lambda done, of: told.append((done, of)))
    assert [need.settings["batch_size"] for need in needs] == [16, 128]
    assert needs[0].cpu_gb < needs[1].cpu_gb
    assert needs[0].gpu_gb < needs[1].gpu_gb
    assert told == [(0, 2), (1, 2)]


def test_device_between_two_kinds_holds_one_and_is_told_what_would_make_the_other_fit():
    spec = spec_with()
    small, large = memory_needs(spec)
    found = fit(spec, (small, large), gpu_of((small.gpu_gb + large.gpu_gb) / 2))
    assert (found.num_fitting, found.num_needs, found.at_once) == (1, 2, 1)
    (too_large,) = found.too_large
    assert too_large.settings["batch_size"] == 128
    assert too_large.needed_gb == large.gpu_gb
    assert found.num_hopeless == 0
    assert found.way_out is not None
    config = spec.trial_config(too_large.settings, 0).model_dump()
    for assignment in found.way_out.split(" and "):
        name, value = assignment.removeprefix("training.").split(": ")
        config[name] = json.loads(value)
    changed = TrainingConfig.model_validate(config)
    assert needed_gb(changed, on_gpu=True) <= found.memory_gb < large.gpu_gb


def test_device_too_small_for_anything_is_told_so():
    spec = spec_with()
    found = fit(spec, memory_needs(spec), gpu_of(0.1))
    assert (found.num_fitting, found.at_once) == (0, 0)
    assert [large.settings["batch_size"] for large in found.too_large] == [128, 16]
    assert (found.num_hopeless, found.way_out) == (2, None)


def test_way_out_is_of_the_largest_that_has_one():
    heavy = (
        "search={generator.embed_dim: {choice: [64, 1024]}, batch_size: {choice: [16, 256]}}",
        "training.activation_checkpointing=true",
    )
    spec = spec_with(*heavy)
    needs = memory_needs(spec)
    assert [need.settings["generator.embed_dim"] for need in needs] == [64, 64, 1024, 1024]
    between = (needs[0].gpu_gb + needs[1].gpu_gb) / 2  # less than the large weights take
    found = fit(spec, needs, gpu_of(between))
    assert [large.needed_gb for large in found.too_large] == [need.gpu_gb for need in needs[:0:-1]]
    assert found.num_hopeless == 2
    assert found.way_out.startswith("training.microbatch_size: ")


def test_many_small_trials_share_a_large_device():
    spec = spec_with()
    needs = memory_needs(spec)
    assert fit(spec, needs, gpu_of(24)).at_once == int(24 / needs[1].gpu_gb) > 10


def test_devices_are_this_machine_and_common_gpus():
    found = list(devices())
    assert not found[0].is_gpu
    assert 0.5 < found[0].memory_gb < 1e5
    elsewhere = [device.memory_gb for device in found if not device.is_here]
    assert elsewhere == list(USUAL_GPUS_GB)


def test_nodes_of_a_cluster_are_devices_those_that_are_alike_once():
    nodes = [
        Node("a", 8, 2, 16.0, memory_gb=64.0),
        Node("b", 8, 1, 16.0, memory_gb=32.0),
        Node("c", 8, 0, memory_gb=32.0),
        Node("d", 8, 4),  # torch finds none of its GPUs
    ]
    assert [(device.name, device.memory_gb, device.is_gpu) for device in devices_of(nodes)] == [
        ("the CPU of a", 64.0, False),
        ("a GPU of a", 16.0, True),
        ("the CPU of b", 32.0, False),
    ]


@pytest.fixture
def groups(tmp_path):
    """Writes limits of control groups by their paths below the mount, and who is in which."""

    def write(membership, limits):
        (tmp_path / "membership").write_text(membership, encoding="utf-8")
        for path, limit in limits.items():
            file = tmp_path / "mount" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{limit}\n", encoding="ascii")
        return list(group_limits(tmp_path / "membership", tmp_path / "mount"))

    return write


def test_limits_of_slurm_and_of_groups_above_are_seen(groups):
    job = "system.slice/slurmstepd.scope/job_7"
    limits = {
        "memory.max": "max",
        f"{job}/memory.max": 32e9,
        f"{job}/step_0/memory.max": "max",
        "elsewhere/memory.max": 1,
    }
    limits = {path: limit if limit == "max" else int(limit) for path, limit in limits.items()}
    assert groups(f"0::/{job}/step_0/user\n", limits) == [32e9]


def test_limits_of_version_1_are_seen(groups):
    limits = {
        "memory/slurm/job_7/memory.limit_in_bytes": 8_000_000_000,
        "memory/memory.limit_in_bytes": 9_223_372_036_854_771_712,  # none
        "cpu/slurm/job_7/memory.limit_in_bytes": 1,
    }
    members = "5:cpu,cpuacct:/slurm/job_7\n4:memory:/slurm/job_7\n1:name=systemd:/\n"
    assert groups(members, limits) == [8e9, 9_223_372_036_854_771_712]


@pytest.mark.parametrize("path", ["/docker/0123", "/", "/../outside"])
def test_limit_of_a_container_is_at_the_mount_whatever_its_path_outside(groups, path):
    assert groups(f"0::{path}\n", {"memory.max": 4_000_000_000}) == [4e9]


def test_memory_is_what_a_control_group_allows(monkeypatch):
    monkeypatch.setattr("sweeps.devices.group_limits", lambda: [1.5e9, 7e9])
    assert memory_gb() == 1.5
    assert this_machine().memory_gb == 1.5


@pytest.mark.parametrize("on_gpu", [False, True])
def test_need_counts_the_process_itself(on_gpu):
    config = spec_with().training
    # Beside small batches, what an evaluation samples takes most.
    small, large = (config.model_copy(update={"batch_size": size}) for size in (2, 256))
    assert 0.4 < needed_gb(small, on_gpu=on_gpu) < needed_gb(large, on_gpu=on_gpu)

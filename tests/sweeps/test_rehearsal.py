"""What a rehearsal says of an extractor that isn't there, unusable data, and a cluster's nodes."""

import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from rich.console import Console

from evaluation.inception_weights import USUAL_FILE
from sweeps.cluster import ClusterError
from sweeps.rehearsal import foresee_extractor, look_at_data, rehearse
from sweeps.resources import Node
from sweeps.run_place import RunPlace
from sweeps.spec import load_spec
from tests.sweeps.command_line import error_line
from transgan.data import DataError, load_data

QUIET = Console(quiet=True)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder `pictures`, of two labels, in the working folder; and a cache of its own."""
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for index in range(102):
        path = tmp_path / "pictures" / ("light", "dark")[index % 2] / f"{index:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((19, 17), 50).save(path)
    return tmp_path / "pictures"


OWN = ("--set", "data={name: ./pictures, image_size: 8}")


def cut_short(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "digits"),
        ("plan", "digits", "--json"),
        ("plan", "digits-classify"),
        ("run", "digits", "-n", "--out", "new"),
        ("run", "digits", "--out", "new"),
    ],
    ids=" ".join,
)
def test_broken_pictures_are_refused_by_plan_and_rehearsal_as_by_a_run(pictures, command):
    cut_short(pictures / "dark" / "007.png")
    assert error_line(*command, *OWN) == (
        "error: data.name: pictures: 1 of 102 images can't be used: dark/007.png (image file is "
        "truncated); mend or remove it"
    )


def test_pictures_that_a_plan_has_read_are_not_decoded_again(pictures, tmp_path, monkeypatch):
    spec = load_spec("digits", OWN[1:])[1]
    assert look_at_data(spec, QUIET) == ()
    monkeypatch.setattr("transgan.data.image_files.decode", None)
    assert len(load_data(spec.data).train_images) == 82


def test_pictures_that_are_elsewhere_do_not_stop_a_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (note,) = look_at_data(load_spec("digits", OWN[1:])[1], QUIET)
    assert note.startswith("a run would stop at this: data.name: ./pictures: no such folder or zip")


def test_data_set_that_would_be_downloaded_is_left_alone_by_a_plan(tmp_path, monkeypatch):
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path))
    spec = load_spec("cifar10")[1]
    (note,) = look_at_data(spec, QUIET)
    assert note.startswith("data cifar10 is not decoded here yet")
    assert not any(tmp_path.iterdir())


def test_pictures_that_are_too_few_or_without_labels_are_refused(pictures):
    for path in (pictures / "dark").iterdir():
        path.rename(pictures / "light" / path.name)
    with pytest.raises(ValueError, match="is trained on the data's labels"):
        look_at_data(load_spec("digits", OWN[1:])[1], QUIET)
    for path in list((pictures / "light").iterdir())[:10]:
        path.unlink()
    with pytest.raises(DataError, match="holds 92 images"):
        look_at_data(load_spec("digits", OWN[1:])[1], QUIET)


@pytest.mark.parametrize(
    ("extractor", "metric", "message"),
    [
        ("inception", "fid", "the Inception weights are not here yet: they would be downloaded"),
        ("dinov2", "fd", "a run would stop at this: DINOv2: no weights at "),
        ("lone_nothing:Nope", "fd", "a run would stop at this: .*lone_nothing"),
    ],
)
def test_extractor_that_is_not_here_is_foreseen(extractor, metric, message, tmp_path, monkeypatch):
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("TG_SWEEP_INCEPTION_WEIGHTS", raising=False)
    options = (f"evaluation.extractor={extractor}", f"evaluation.metrics=[{metric}]")
    (said,) = foresee_extractor(load_spec("digits", options)[1])
    assert re.match(message, said)


def test_extractor_that_is_here_is_not_mentioned():
    assert foresee_extractor(load_spec("digits")[1]) == ()


@pytest.fixture
def on_cluster(monkeypatch):
    """Makes rehearsals find a cluster of such nodes, and tells which folders they looked at."""

    def find(*nodes, fault=None):
        looked_at = []

        class Pretended:
            def examined(self, folder):
                looked_at.append(folder)
                if fault is not None:
                    raise fault
                return SimpleNamespace(nodes=nodes, notes=("its Ray kills",))

        monkeypatch.setattr(
            "sweeps.rehearsal.open_cluster", lambda *_, **__: nullcontext(Pretended())
        )
        return looked_at

    return find


def rehearsed(path, *overrides):
    spec = load_spec("digits", overrides)[1]
    return rehearse(spec, RunPlace(path), "head:6379", USUAL_FILE, QUIET)


def test_rehearsal_has_each_node_look_at_the_folder_above_the_run(on_cluster, tmp_path):
    looked_at = on_cluster(fault=ClusterError("--out: node b does not see this folder"))
    found = rehearsed(tmp_path / "not" / "yet")
    assert looked_at == [tmp_path]
    assert found.obstacles == ("--out: node b does not see this folder",)
    assert (found.nodes, found.settled) == ((), None)


def test_rehearsal_settles_the_spec_by_the_nodes(on_cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.derived_resources.needed_gb", lambda *_, **__: 8.0)
    on_cluster(Node("a", 8, 1, 20.0), Node("b", 8, 1, 24.0))
    found = rehearsed(tmp_path / "run")
    assert found.obstacles == ()
    resources = found.settled.spec.resources
    assert (resources.gpus_per_trial, resources.memory_gb) == (0.5, 10.0)
    assert found.settled.spec.budget.concurrent_trials == 4


def test_rehearsal_names_resources_that_no_node_has(on_cluster, tmp_path):
    on_cluster(Node("a", 8, 0), Node("b", 8, 0))
    found = rehearsed(tmp_path / "run", "resources.cpus_per_trial=9")
    (obstacle,) = found.obstacles
    assert "9 wanted, but the nodes have at most 8 CPUs; give at most 8" in obstacle


@pytest.mark.parametrize("name", ["file", "locked"])
def test_folder_that_can_not_be_made_is_named_once_on_a_cluster_too(on_cluster, tmp_path, name):
    (tmp_path / "file").touch()
    on_cluster(fault=PermissionError(13, "Permission denied"))
    path = tmp_path / name / "run"
    if name == "locked":
        path = Path("/proc/locked/run")
    (obstacle,) = rehearsed(path).obstacles
    assert obstacle.startswith(f"--out {path}: can't be written")

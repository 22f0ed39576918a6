"""What a rehearsal says of an extractor that isn't there, and of data that can't be used."""

import re

import pytest
from PIL import Image
from rich.console import Console

from sweeps.rehearsal import foresee_extractor, look_at_data
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

import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.new_spec import new_spec
from sweeps.sampler_check import sampler_notes
from sweeps.spec import load_spec
from sweeps.spec_text import SpecError
from tests.sweeps import command_line
from transgan.data import DataError
from transgan.data.survey import Survey, survey

OUT = Path("mine.yaml")


def write_images(folder, num, size, label=""):
    (folder / label).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(num):
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / label / f"{number:04d}.png")


def call(*arguments):
    return command_line.call("init", *arguments)


def test_survey_counts_images_and_labels_and_finds_the_shorter_side(tmp_path):
    write_images(tmp_path, 60, (40, 50), "cats")
    write_images(tmp_path, 50, (90, 36), "dogs")
    assert survey(tmp_path) == Survey(num_images=110, num_labels=2, side=36, looked_at=110)


def test_survey_names_what_it_can_not_use_and_counts_it_as_looked_at(tmp_path):
    write_images(tmp_path, 110, (20, 24))
    whole = (tmp_path / "0005.png").read_bytes()
    (tmp_path / "0005.png").write_bytes(whole[: len(whole) // 2])  # its size can still be read
    (tmp_path / "words.png").write_text("no picture", encoding="utf-8")
    found = survey(tmp_path)
    truncated, words = found.broken
    assert truncated == "0005.png (image file is truncated)"
    assert words.startswith("words.png (not a PNG")
    assert (found.num_images, found.looked_at, found.side) == (111, 111, 20)
    assert found.sample_text == "the 109 that can be used of the 111 looked at"
    assert found.notes == (
        "2 of the 111 images looked at can't be used, and a run would stop at them: "
        f"{truncated}, {words}; mend or remove them",
    )


def test_survey_of_a_sample_says_that_it_is_one(tmp_path):
    write_images(tmp_path, 228, (8, 8))
    found = survey(tmp_path)
    assert found.looked_at == 114
    assert found.sample_text == "the 114 looked at"
    assert found.notes == ("looked at 114 of 228 images; tg-sweep plan reads all of them",)


def test_survey_of_nothing_but_broken_images_is_refused(tmp_path):
    for number in range(100):
        (tmp_path / f"{number:03d}.png").write_text("no picture", encoding="utf-8")
    message = r"none of the 100 images looked at can be used: 000\.png .*, and 97 more; mend"
    with pytest.raises(DataError, match=message):
        survey(tmp_path)


def test_survey_of_too_few_images_is_refused(tmp_path):
    write_images(tmp_path, 3, (8, 8))
    with pytest.raises(DataError, match="holds 3 images"):
        survey(tmp_path)


@pytest.mark.parametrize("has_gpu", [False, True])
@pytest.mark.parametrize("image_size", [None, 16, 32, 48, 64, 128, 256, 512, 1024])
def test_every_spec_that_is_written_can_be_read(tmp_path, image_size, has_gpu):
    found = Survey(num_images=500, num_labels=0, side=300, looked_at=200)
    path = tmp_path / "mine.yaml"
    images = tmp_path / 'odd "name": #1'
    text = new_spec(images, found, image_size=image_size, has_gpu=has_gpu, command="", out=path)
    path.write_text(text, encoding="utf-8")
    _, spec = load_spec(str(path))
    assert spec.data.name == str(images)
    assert spec.data.image_size == (image_size or (64 if has_gpu else 32))
    assert spec.rungs == tuple(spec.training.total_kimg / share for share in (9, 3, 1))
    assert spec.evaluation.extractor == "inception"
    assert len(spec.search["generator.depths"].choice) == 2
    assert spec.baseline() is None or spec.baseline()["generator.num_heads"] in (2, 4)


def test_labels_make_a_classifier_the_extractor(tmp_path):
    found = Survey(num_images=500, num_labels=3, side=40, looked_at=200)
    text = new_spec(tmp_path, found, image_size=None, has_gpu=False, command="", out=OUT)
    assert "extractor: classifier, metrics: [fd, kd" in text
    assert "3 labels" in text


@pytest.mark.parametrize(
    ("side", "wanted", "message"),
    [(300, 100, "--image-size 100: no preset"), (9, None, "only 9 pixels")],
)
def test_sizes_that_no_preset_has_are_refused_with_those_that_do(tmp_path, side, wanted, message):
    found = Survey(num_images=500, num_labels=0, side=side, looked_at=200)
    with pytest.raises(SpecError, match=message) as refusal:
        new_spec(tmp_path, found, image_size=wanted, has_gpu=False, command="", out=OUT)
    assert "16" in str(refusal.value)


def test_init_writes_a_spec_that_can_be_planned_and_overwrites_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "pictures", 100, (20, 20))
    result = call("pictures")
    assert result.exit_code == 0, result.output
    assert result.stdout == "my-sweep.yaml\n"
    assert "next: tg-sweep plan my-sweep.yaml" in result.stderr
    written = (tmp_path / "my-sweep.yaml").read_text(encoding="utf-8")
    assert re.search(r"^data: \{name: \"pictures\", image_size: 16\}$", written, re.MULTILINE)
    assert "looked at" not in result.stderr  # all of them were, and are well
    again = call("pictures")
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert (tmp_path / "my-sweep.yaml").read_text(encoding="utf-8") == written


def test_init_says_which_images_are_broken_and_writes_the_spec_all_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "pictures", 100, (20, 20))
    (tmp_path / "pictures" / "0007.png").write_text("no picture", encoding="utf-8")
    result = call("pictures")
    assert result.exit_code == 0, result.output
    said = "1 of the 100 images looked at can't be used, and a run would stop at it: 0007.png (not"
    assert said in result.stderr
    written = (tmp_path / "my-sweep.yaml").read_text(encoding="utf-8")
    assert "20 pixels or more in nine of ten of the 99 that can be used of the 100" in written


@pytest.mark.parametrize(("has_gpu", "startup_trials"), [(False, 4), (True, 10)])
def test_sampler_of_a_new_spec_learns_before_its_trials_end(tmp_path, has_gpu, startup_trials):
    found = Survey(num_images=500, num_labels=0, side=64, looked_at=200)
    path = tmp_path / "mine.yaml"
    text = new_spec(tmp_path, found, image_size=None, has_gpu=has_gpu, command="", out=path)
    path.write_text(text, encoding="utf-8")
    _, spec = load_spec(str(path))
    assert spec.sampler.startup_trials == startup_trials
    assert sampler_notes(spec, concurrent=2) == ()


@pytest.mark.parametrize(
    ("out", "message"),
    [("spec.txt", "a spec's name ends in .yaml"), ("no/where/x.yaml", "can't be written")],
)
def test_place_that_can_hold_no_spec_is_refused(tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "pictures", 100, (20, 20))
    result = call("pictures", "--out", out)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("has_gpu", [False, True])
def test_commands_that_a_spec_names_are_its_own_and_can_be_run(tmp_path, has_gpu):
    found = Survey(num_images=500, num_labels=2, side=300, looked_at=200)
    path = tmp_path / "my pictures.yaml"
    text = new_spec(tmp_path, found, image_size=None, has_gpu=has_gpu, command="", out=path)
    path.write_text(text, encoding="utf-8")
    commands = [shlex.split(line.partition(":")[2]) for line in text.splitlines()[1:5]]
    assert [command[:3] for command in commands] == [
        ["tg-sweep", verb, str(path)] for verb in ("plan", "run", "run", "run")
    ]
    quick = commands[2]
    changes = [value for option, value in itertools.pairwise(quick) if option == "--set"]
    _, spec = load_spec(str(path), changes)
    assert len(spec.rungs) == 2
    assert spec.training.total_kimg * 12 == load_spec(str(path))[1].training.total_kimg

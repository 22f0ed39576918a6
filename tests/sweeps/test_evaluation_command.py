"""`tg-sweep evaluate`, on the snapshot of a trial of a second and on images in files."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.protocol import EvaluationProtocol
from evaluation.scoring import score
from reports.records import TrialRecord
from reports.run_folder import TrialFolder
from sweeps.trial import run_trial
from tests.sweeps import command_line

NUM = 101
OBJECTIVE = "fd_digits_classifier"


def call(*arguments):
    return command_line.call("evaluate", *arguments)


def document(*arguments):
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def error_line(*arguments):
    return command_line.error_line("evaluate", *arguments)


def values(taken):
    return {score["name"]: (score["value"], score["standard_error"]) for score in taken["scores"]}


@pytest.fixture(scope="session")
def trial(task, data, evaluator, tmp_path_factory) -> TrialFolder:
    folder = TrialFolder(tmp_path_factory.mktemp("trials") / "0000")
    list(run_trial(task, data, evaluator, folder))
    return folder


@pytest.fixture(scope="session")
def run(evaluation_folder) -> Path:
    return evaluation_folder.parent


@pytest.fixture(scope="session")
def files(data, tmp_path_factory) -> dict[str, Path]:
    """The same training images as a folder, a zip and an npz."""
    root = tmp_path_factory.mktemp("files")
    images = data.train_images[:NUM, 0].numpy()
    (root / "folder").mkdir()
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for index, image in enumerate(images):
            path = root / "folder" / f"{index:03d}.png"
            Image.fromarray(image).save(path)
            archive.write(path, path.name)
    np.savez(root / "images.npz", images)
    return {"folder": root / "folder", "zip": root / "images.zip", "npz": root / "images.npz"}


def recorded(record: TrialRecord) -> dict[str, tuple[float, float | None]]:
    taken = record.scores[-1].measurements
    return {score.name: (score.value, score.standard_error) for score in taken}


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--reference", "--extractor"])
@pytest.mark.parametrize("inner", ["", "evaluation"])
def test_snapshot_against_its_run_scores_as_the_trial_did(trial, run, option, inner):
    taken = document(trial.snapshot, option, run / inner)
    assert values(taken) == recorded(trial.read())
    assert taken["protocol"]["num_images"] == NUM
    assert taken["reference"]["num_images"] == 600


def test_checkpoint_holds_the_same_generator(trial, run):
    of_checkpoint = document(trial.checkpoint, "--reference", run)
    assert values(of_checkpoint) == recorded(trial.read())


def test_classifier_and_judge_trained_here_are_the_sweeps(trial, tiny_spec):
    metrics = ",".join(tiny_spec.evaluation.metrics)
    arguments = ("--extractor", "classifier", "--metrics", metrics, "--num-images", NUM)
    taken = document(trial.snapshot, "--reference", "digits", *arguments)
    sweeps = recorded(trial.read())
    del sweeps["kd_digits_classifier"]  # taken there over three subsets
    assert "confident_fraction" in sweeps
    assert values(taken).items() >= sweeps.items()


def test_files_of_every_kind_score_as_the_tensor(files, data, run, evaluator):
    protocol = EvaluationProtocol(extractor="classifier", metrics=("fd", "recall"), num_images=NUM)
    of_tensor = score(
        data.train_images[:NUM], data.held_out_images, protocol, extractor=evaluator.extractor
    )
    expected = {taken.name: (taken.value, taken.standard_error) for taken in of_tensor.scores}
    for path in files.values():
        taken = document(path, "--reference", run, "--metrics", "fd,recall")
        assert values(taken) == expected


def test_images_serve_as_reference_for_the_classifier_of_a_file(files, run):
    extractor = run / "evaluation" / "extractor.safetensors"
    arguments = ("--extractor", extractor, "--metrics", "fd")
    for path in files.values():
        taken = document(files["zip"], "--reference", path, *arguments)
        assert values(taken)[OBJECTIVE][0] == pytest.approx(0, abs=1e-9)
        assert taken["reference"]["num_images"] == NUM


def test_statistics_written_here_give_the_same_distance(files, run, tmp_path):
    extractor = run / "evaluation" / "extractor.safetensors"
    path = tmp_path / "statistics.npz"
    written = document(
        files["zip"], "--reference", run, "--metrics", "fd", "--statistics-out", path
    )
    taken = document(files["zip"], "--reference", path, "--extractor", extractor)
    assert values(taken)[OBJECTIVE] == pytest.approx(values(written)[OBJECTIVE], rel=1e-9)
    assert "kd_digits_classifier" in taken["absent"]
    assert taken["reference"] == written["reference"] | {"name": str(path)}


def test_other_latents_give_other_scores(trial, run):
    again = document(trial.snapshot, "--reference", run, "--seed", 1)
    assert values(again)[OBJECTIVE] != recorded(trial.read())[OBJECTIVE]
    assert again["protocol"]["seed"] == 1


def test_number_of_images_is_free_for_a_generator(trial, run):
    taken = document(trial.snapshot, "--reference", run, "--num-images", 53)
    assert {score["num_generated"] for score in taken["scores"]} == {53}


def test_table_says_value_error_numbers_and_extractor(files, run):
    result = call(files["zip"], "--reference", run, "--metrics", "fd,recall")
    header, distance, recall, extractor, reference = result.stdout.splitlines()
    assert re.split(" {2,}", header) == [
        *("metric", "value", "standard error", "95 % interval", "images", "reference images"),
    ]
    assert re.fullmatch(r"FD digits_classifier@101 +\d+\.\d{3} +\S+ +.* +101 +600", distance)
    assert recall.startswith("recall digits_classifier@101")
    assert re.fullmatch(r"extractor  digits_classifier [0-9a-f]{12}", extractor)
    assert reference.startswith(f"reference  {run} ")
    assert "Scoring 101 images" in result.stderr


def test_absent_metric_has_a_dash_and_a_reason(files, run, tmp_path):
    call(files["zip"], "--reference", run, "--statistics-out", tmp_path / "s.npz")
    extractor = run / "evaluation" / "extractor.safetensors"
    result = call(files["zip"], "--reference", tmp_path / "s.npz", "--extractor", extractor)
    assert re.search(r"^KD digits_classifier +—", result.stdout, re.MULTILINE)
    assert "kd_digits_classifier is absent: needs the reference's images" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zip"], "--reference is missing: give a folder, zip or .npz of real images"),
        (["zip", "--reference", "nowhere"], "no folder or file and no data set of this name"),
        (
            ["zip", "--reference", "digits", "--extractor", "classifier", "--metrics", "fdd"],
            "did you",
        ),
        (
            ["zip", "--reference", "digits", "--metrics", "fd"],
            "the extractor is inception; ask for",
        ),
        (["zip", "--reference", "digits"], "no Inception weights at none.pth; give their path"),
        (["zip", "--reference", "RUN", "--extractor", "inception"], "leave --extractor out, or"),
        (["zip", "--reference", "RUN", "--num-images", "7"], "got 101 images, but the protocol"),
        (["zip", "--reference", "RUN", "--inception-weights", "x.pth"], "leave them out"),
        (["zip", "--reference", "RUN", "--size", "5"], "the reference has (1, 8, 8)"),
        (["zip", "--reference", "digits", "--size", "5"], "digits is 8×8, got image_size 5"),
        (["zip", "--reference", "ZIP", "--extractor", "classifier"], "ZIP brings none; give a"),
        (["zip", "--reference", "ZIP", "--extractor", "ZIP"], "is not a classifier of ours"),
        (["nowhere", "--reference", "RUN"], "there is no nowhere; give a folder, a zip or an .npz"),
        (["RUN", "--reference", "RUN"], "no images in RUN"),
        (["TRIAL", "--reference", "RUN"], "is a folder of a sweep, not of images; give a trial's"),
        (["RUN/evaluation/extractor.safetensors", "--reference", "RUN"], "not a snapshot or check"),
        (
            ["zip", "--reference", "RUN", "--statistics-out", "no/where.npz"],
            "no/where.npz can't be written (No such file or directory)",
        ),
    ],
)
def test_mistake_is_one_line_with_the_way_out(
    arguments, message, files, run, trial, monkeypatch, tmp_path
):
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", "none.pth")
    monkeypatch.chdir(tmp_path)
    paths = {"ZIP": str(files["zip"]), "RUN": str(run), "TRIAL": str(trial.path)}

    def placed(text):
        for name, path in paths.items():
            text = text.replace(name, path)
        return text

    given = [str(files["zip"]) if text == "zip" else placed(text) for text in arguments]
    assert placed(message) in error_line(*given)


def test_corrupt_files_are_one_line_that_names_and_counts_them(files, run, tmp_path):
    for index, path in enumerate(sorted(files["folder"].iterdir())):
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[: 40 if index in (3, 50, 97) else None])
    line = error_line(tmp_path, "--reference", run)
    assert f"3 of the 101 images in {tmp_path} can't be used: 003.png (" in line
    assert "050.png (" in line
    assert "097.png (" in line


def test_metrics_for_which_there_are_too_few_images_are_left_out_by_name(files, run, tmp_path):
    images = [np.asarray(Image.open(path)) for path in sorted(files["folder"].iterdir())[:3]]
    np.savez(tmp_path / "three.npz", np.stack(images))
    extractor = run / "evaluation" / "extractor.safetensors"
    arguments = (tmp_path / "three.npz", "--reference", files["zip"], "--extractor", extractor)
    taken = document(*arguments)
    assert set(values(taken)) == {
        f"{key}_digits_classifier" for key in ("fd", "kd", "md", "classifier_score")
    }
    assert taken["absent"] == {}
    said = call(*arguments).stderr
    assert "Left out, as 3 images are too few: fd_infinity, precision, recall, density" in said
    asked = error_line(*arguments, "--metrics", "fd,recall")
    assert "recall needs at least 4 images" in asked


def test_reference_of_one_image_is_one_line(files, run, tmp_path):
    np.savez(tmp_path / "one.npz", np.asarray(Image.open(files["folder"] / "000.png"))[None])
    extractor = run / "evaluation" / "extractor.safetensors"
    line = error_line(
        *(files["zip"], "--reference", tmp_path / "one.npz", "--extractor", extractor)
    )
    assert "one.npz: a reference needs two images" in line

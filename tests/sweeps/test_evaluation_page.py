"""What docs/evaluation/README.md says is so: every block of it is run, in its order."""

import re
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from evaluation.agreement.network import write_seeded_weights
from evaluation.agreement.real_images import mixed_images
from evaluation.inception_weights import (
    INCEPTION_SHA256,
    INCEPTION_URL,
    INCEPTION_VARIABLE,
    UNVERIFIED_VARIABLE,
)
from evaluation.metrics import METRICS
from reports.run_folder import TrialFolder
from sweeps.cli import app
from sweeps.trial import run_trial

FOLDER = Path(__file__).parents[2] / "docs" / "evaluation"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4,}(tg-sweep .*?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
EVALUATIONS = [command for command in COMMANDS if command.startswith("tg-sweep evaluate")]
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NUM = 13


@pytest.fixture(scope="module")
def place(task, data, evaluator, evaluation_folder, tmp_path_factory) -> Path:
    """The files that the page speaks of, each made of real images."""
    place = tmp_path_factory.mktemp("place")
    for name, seed in (("generated", 0), ("real", 1)):
        (place / name).mkdir()
        for index, image in enumerate(mixed_images(NUM, 32, seed)):
            pixels = image.numpy().transpose(1, 2, 0)
            Image.fromarray(pixels).save(place / name / f"{index:02d}.png")
    with zipfile.ZipFile(place / "generated.zip", "w") as archive:
        for path in sorted((place / "generated").iterdir()):
            archive.write(path, path.name)
    real = [np.array(Image.open(path)) for path in sorted((place / "real").iterdir())]
    np.savez(place / "real.npz", np.stack(real))
    write_seeded_weights(place / "weights.pth")
    run = place / "runs" / "digits"
    (run / "trials").mkdir(parents=True)
    list(run_trial(task, data, evaluator, TrialFolder(run / "trials" / "0003")))
    shutil.copytree(evaluation_folder, run / "evaluation")
    (place / "my_features.py").write_text(BLOCKS[1], encoding="utf-8")
    return place


@pytest.fixture
def at_place(place, monkeypatch) -> Path:
    """There, with weights that stand in for the official ones under their honest name."""
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv(INCEPTION_VARIABLE, "weights.pth")
    monkeypatch.setenv(UNVERIFIED_VARIABLE, "1")
    return place


def call(command):
    return CliRunner().invoke(app, shlex.split(command)[1:])


@pytest.mark.slow
def test_first_block_prints_a_line_a_score(at_place, capsys):
    assert BLOCKS[0].startswith("import evaluation")
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    names = [f"{key}_inception_unverified" for key in ("fd", "kd", "precision", "recall")]
    assert [line.split()[0] for line in lines] == names


@pytest.mark.slow
def test_commands_run_one_after_the_other(at_place):
    assert len(EVALUATIONS) >= 9
    for command in EVALUATIONS:
        result = call(command)
        assert result.exit_code == 0, (command, result.output)
        assert result.stdout, command
    assert "fd_colours" in call(f"{EVALUATIONS[-1]} --json").stdout
    with_statistics = next(c for c in EVALUATIONS if "--reference real-statistics.npz" in c)
    assert "is absent: needs the reference's images" in call(with_statistics).stdout


@pytest.mark.slow
def test_ladder_of_the_page_is_climbed():
    (command,) = set(COMMANDS) - set(EVALUATIONS)
    result = call(command)
    assert result.exit_code == 0, result.output
    assert re.search(r"\d+ passed, 0 failed, \d+ not run", result.stdout)


def test_page_has_no_block_that_is_not_run():
    assert len(BLOCKS) == 2
    assert BLOCKS[1].startswith("# my_features.py\n")
    assert PAGE.count("```") == 2 * len(BLOCKS)
    outside = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    indented = re.findall(r"^ {4,}(\S.*?)(?:\s+#.*)?$", outside, re.MULTILINE)
    assert [line for line in indented if line not in COMMANDS] == [INCEPTION_URL]
    assert f"`{INCEPTION_SHA256}`" in PAGE


def test_page_has_the_metric_table():
    better = {"minimize": "lower", "maximize": "higher"}
    rows = [f"| `{m.key}` | {better[m.goal]} | {m.meaning} |" for m in METRICS.values()]
    assert "\n".join(["|---|---|---|", *rows, ""]) in PAGE


def test_links_of_the_page_lead_somewhere():
    links = re.findall(r"\]\((.*?)\)", PAGE)
    assert {"agreement.md", "coverage.md", "ordering.md"} <= set(links)
    assert not {link for link in links if not (FOLDER / link).is_file()}

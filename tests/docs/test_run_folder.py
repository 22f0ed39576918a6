"""What the pages say of the files of a run folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.run_folder import RunFolder, TrialFolder
from sweeps.recovery import worker_of
from tests.docs.pages import ROOT

RUN = Path("run")


def section(page: str, heading: str) -> str:
    """The text below a heading of the second level."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    "path",
    [path for name, path in vars(RunFolder(RUN)).items() if name not in ("path", "trials")]
    + [TrialFolder(RUN / "trials/0003").lock, RUN / ".lock"],
    ids=lambda path: str(path.relative_to(RUN)),
)
def test_file_of_a_run_folder_stands_in_the_table(path):
    assert f"`{path.relative_to(RUN)}" in section("README.md", "The run folder")


def test_process_id_of_a_trial_stands_where_the_page_says(tmp_path):
    said = section("docs/sweeps/faults.md", "Process ids")
    (lock,) = re.findall(r"as JSON: `(\{.*?\})`", said)
    folder = TrialFolder(tmp_path / "trials" / "0003")
    assert f"`{folder.lock.relative_to(tmp_path)}`" in said
    folder.path.mkdir(parents=True)
    folder.lock.write_text(lock, encoding="utf-8")
    worker = worker_of(folder)
    assert worker is not None
    assert (worker.pid, worker.host) == (22528, "node7")

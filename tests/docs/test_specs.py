"""Every spec of the pages resolves, every part of one is valid, and Python blocks run."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
import torch
import yaml
from pydantic import TypeAdapter

from sweeps.spec import SweepSpec, load_spec, resolve, shipped_specs
from sweeps.spec_text import read_text
from tests.docs.pages import ROOT, Block, blocks
from transgan.backbone import Backbone

FIELDS = SweepSpec.model_fields


def _is_spec(block: Block) -> bool:
    if block.language == "yaml":
        return True
    return not block.is_inline and re.match(r"\w+: .*\nsearch:", block.text) is not None


def _part(block: Block) -> dict[str, Any] | None:
    """A part of a spec that stands in a sentence: `sampler: {name: tpe}`."""
    match = re.fullmatch(r"(\w+): (\{.*\}|\[.*\])", block.text)
    if not block.is_inline or match is None or match[1] not in FIELDS:
        return None
    values: dict[str, Any] = yaml.safe_load(block.text)
    return values


SPECS = [block for block in blocks() if _is_spec(block)]
PARTS = [block for block in blocks() if _part(block) is not None]


@pytest.mark.parametrize("block", SPECS, ids=lambda block: block.place)
def test_spec_resolves(block):
    """One that leaves parts out has those of the digits sweep."""
    digits = (ROOT / "sweeps" / "specs" / "digits.yaml").read_text(encoding="utf-8")
    spec = resolve(read_text("digits", digits) | read_text(block.place, block.text), block.place)
    assert spec.budget.trials >= 1


@pytest.mark.parametrize("block", PARTS, ids=lambda block: f"{block.place}: {block.text}")
def test_part_of_a_spec_is_valid(block):
    ((name, value),) = _part(block).items()
    if name == "training":  # what it leaves out, its preset says
        assert load_spec("digits", (f"training={value}",))
    else:
        TypeAdapter(FIELDS[name].annotation).validate_python(value)


def test_there_are_specs_and_parts_to_look_at():
    assert len(SPECS) >= 6
    assert len(PARTS) >= 6
    assert {"README.md", "docs/tutorial.md"} <= {block.place for block in SPECS}


@pytest.mark.parametrize("name", shipped_specs())
def test_shipped_spec_stands_on_the_pages(name):
    """By name, so that nobody has to look into the source to find it."""
    texts = (block.text for block in blocks())
    assert any(re.search(rf"(?<![\w-]){name}(?![\w-])", text) for text in texts)


@pytest.mark.parametrize("block", [b for b in blocks() if b.language == "python"])
def test_python_block_is_python(block):
    """Those of docs/evaluation are run in tests/sweeps/test_evaluation_page.py."""
    ast.parse(block.text)


@pytest.mark.slow
def test_pandas_reads_what_the_tutorial_reads(finished, monkeypatch, capsys):
    (code,) = (b.text for b in blocks() if b.language == "python" and b.page.name == "tutorial.md")
    monkeypatch.chdir(finished)
    exec(compile(code, "tutorial.md", "exec"), {})
    assert "completed" in capsys.readouterr().out


def test_backbone_is_as_its_page_says(finished, monkeypatch):
    (code,) = (b.text for b in blocks() if b.text.startswith("from pathlib import Path\n"))
    monkeypatch.chdir(finished)
    names: dict[str, Any] = {"images": torch.zeros(2, 3, 64, 64)}
    exec(compile(code, "tasks.md", "exec"), names)
    backbone = names["backbone"]
    assert isinstance(backbone, Backbone)
    assert f"# {backbone.out_channels}, {backbone.strides}" in code
    shapes = [tuple(one.shape) for one in names["maps"].values()]
    assert shapes == [(2, 64, 64 // stride, 64 // stride) for stride in backbone.strides]

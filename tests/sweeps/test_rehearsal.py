"""What a rehearsal says of an extractor that isn't there."""

import re

import pytest

from sweeps.rehearsal import foresee_extractor
from sweeps.spec import load_spec


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

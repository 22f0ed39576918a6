"""The way to the Inception weights: places, downloads, and what to say where there are none."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from evaluation import inception_weights
from evaluation.inception_weights import (
    INCEPTION_FILES,
    InceptionWeightsError,
    find_inception_weights,
    verify_inception_weights,
)

CONTENT = b"weights" * 5_003


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's cache without weights, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.delenv("TG_SWEEP_INCEPTION_WEIGHTS", raising=False)
    monkeypatch.delenv("TG_SWEEP_ALLOW_UNVERIFIED_WEIGHTS", raising=False)
    monkeypatch.setattr(inception_weights, "INCEPTION_URL", "http://127.0.0.1:9/weights.pth")
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def served(tmp_path: Path, empty_hub: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file behind the address from which the weights are fetched."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/weights.pth"
        monkeypatch.setattr(inception_weights, "INCEPTION_URL", url)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        monkeypatch.setattr(inception_weights, "INCEPTION_SHA256", sha256)
        yield folder / "weights.pth"
        server.shutdown()


def test_absent_weights_without_network_have_three_ways_out(empty_hub: Path) -> None:
    with pytest.raises(InceptionWeightsError) as caught:
        find_inception_weights()
    message = str(caught.value)
    assert f"no Inception weights at {empty_hub / INCEPTION_FILES[0]}" in message
    assert "it can't be downloaded (<urlopen error" in message
    assert "TG_SWEEP_INCEPTION_WEIGHTS=PATH" in message
    assert f"put the file from {inception_weights.INCEPTION_URL} into {empty_hub}" in message
    assert "choose extractor: classifier" in message
    assert "\n" not in message
    assert not list(empty_hub.iterdir())


def test_weights_are_sought_as_given_then_by_variable_then_in_the_hub(
    empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_hub.mkdir(parents=True)
    cached = empty_hub / "pt_inception-2015-12-05-6726825d.pth"
    cached.touch()
    assert find_inception_weights() == cached
    named = tmp_path / "named.pth"
    named.touch()
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", str(named))
    assert find_inception_weights() == named
    given = tmp_path / "given.pth"
    given.touch()
    assert find_inception_weights(given) == given


def test_weights_named_but_missing_are_neither_replaced_nor_fetched(
    served: Path, empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.write_bytes(CONTENT)
    empty_hub.mkdir(parents=True)
    (empty_hub / INCEPTION_FILES[0]).touch()
    missing = tmp_path / "missing.pth"
    with pytest.raises(InceptionWeightsError, match=r"no Inception weights at .*missing\.pth;"):
        find_inception_weights(missing)
    monkeypatch.setenv("TG_SWEEP_INCEPTION_WEIGHTS", str(missing))
    with pytest.raises(InceptionWeightsError, match=r"no Inception weights at .*missing\.pth;"):
        find_inception_weights()


def test_absent_weights_are_fetched_verified_and_kept(
    served: Path, empty_hub: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    served.write_bytes(CONTENT)
    path = find_inception_weights()
    assert path == empty_hub / INCEPTION_FILES[0]
    assert path.read_bytes() == CONTENT
    captured = capfd.readouterr()
    assert "100%" in captured.err
    assert captured.out == ""
    served.unlink()
    assert find_inception_weights() == path
    assert list(empty_hub.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""])
def test_fetched_file_of_another_hash_never_gets_the_name(
    served: Path, empty_hub: Path, content: bytes
) -> None:
    served.write_bytes(content)
    with pytest.raises(InceptionWeightsError) as caught:
        find_inception_weights()
    assert "what was downloaded is another file" in str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert not list(empty_hub.iterdir())


def test_file_that_is_not_served_is_said(served: Path, empty_hub: Path) -> None:
    with pytest.raises(InceptionWeightsError, match=r"can't be downloaded \(HTTP Error 404"):
        find_inception_weights()
    assert not list(empty_hub.iterdir())


def test_other_hash_passes_only_where_it_is_allowed(
    empty_hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(InceptionWeightsError, match=f"SHA-256 {sha256}, official 6726825d"):
        verify_inception_weights(path)
    assert verify_inception_weights(path, allow_unverified=True) == (path, sha256, False)
    assert verify_inception_weights(path, official=sha256) == (path, sha256, True)
    monkeypatch.setenv("TG_SWEEP_ALLOW_UNVERIFIED_WEIGHTS", "1")
    assert verify_inception_weights(path) == (path, sha256, False)
    monkeypatch.setenv("TG_SWEEP_ALLOW_UNVERIFIED_WEIGHTS", "yes")
    with pytest.raises(InceptionWeightsError, match="WEIGHTS=yes: say 1 to allow them, or 0"):
        verify_inception_weights(path)

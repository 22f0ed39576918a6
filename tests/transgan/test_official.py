"""The authors' weights give the authors' outputs here; files that can't be used say why.

`benchmarks/parity.py` compares with figures of the authors' own modules; weights are by formula.
"""

from __future__ import annotations

import pickle
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks import parity
from benchmarks.parity import FLOAT64_TOLERANCE, KEYS, weights
from transgan.official import (
    OFFICIAL_PRESETS,
    OfficialWeightsError,
    detect_preset,
    load_discriminator,
    load_generator,
    read_official_file,
)

State = dict[str, Tensor]
PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


def offsets(tokens: int) -> Tensor:
    """Row of the bias table for query and key, by the definition (Liu et al. 2021, sec. 3.2)."""
    width = round(tokens**0.5)
    places = [(i // width, i % width) for i in range(tokens)]
    rows = [
        [(y - v + width - 1) * (2 * width - 1) + x - u + width - 1 for v, u in places]
        for y, x in places
    ]
    return torch.tensor(rows)


def golden_cases(*, noise: bool = True) -> list[Any]:
    found = []
    for case in (*parity.cases("generator"), *parity.cases("discriminator")):
        if case.noise and not noise:
            continue
        name = f"{case.preset}-{case.network}-{case.seed}{'-noisy' if case.noise else ''}"
        found.append(pytest.param(case, id=name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", golden_cases())
def test_images_and_logits_are_the_authors(case: parity.Case) -> None:
    assert parity.error(case) <= case.most_in_float32


@pytest.mark.slow
@pytest.mark.parametrize("case", golden_cases(noise=False))
def test_hardly_anything_but_rounding_is_between_us_and_the_authors(case: parity.Case) -> None:
    assert parity.error(case, torch.float64) <= FLOAT64_TOLERANCE


@pytest.mark.slow
def test_another_weight_is_another_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(*given: Any) -> State:
        return weights(*given) | {"norm.norm.bias": torch.full((384,), 0.3)}

    monkeypatch.setattr(parity, "weights", spoilt)
    assert parity.error(parity.cases("discriminator", ["cifar10"])[0]) > 1e-2


def test_page_of_parity_has_each_preset_network_and_seed_within_the_tolerance() -> None:
    _, images, logits = PAGE.read_text(encoding="utf-8").split("\n## ")
    for table, network in ((images, "generator"), (logits, "discriminator")):
        rows = dict(re.findall(r"^\| `(\w+)` (.*)$", table, re.MULTILINE))
        assert list(rows) == list(OFFICIAL_PRESETS)
        for preset, cells in rows.items():
            cases = parity.cases(network, [preset])
            in_float64 = [float(figure) for figure in re.findall(r"([\d.]+), ", cells)]
            in_float32 = [float(figure) for figure in re.findall(r"([\d.]+) \(", cells)]
            assert len(in_float64) == sum(not case.noise for case in cases) >= 3
            assert max(in_float64) <= 1e6 * FLOAT64_TOLERANCE
            for case, figure in zip(cases, in_float32, strict=True):
                assert figure <= 1e6 * case.most_in_float32


@pytest.fixture(scope="module")
def generator_state() -> State:
    return weights("cifar10", "generator")


@pytest.fixture(scope="module")
def discriminator_weights() -> State:
    return weights("cifar10", "discriminator")


@pytest.fixture
def state(discriminator_weights: State) -> State:
    """A discriminator's state dict, to be changed at will."""
    return dict(discriminator_weights)


def assert_same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    states = one.state_dict(), other.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_networks_come_ready_to_use(state: State) -> None:
    discriminator = load_discriminator(state, "cifar10")
    assert not discriminator.training
    assert all(parameter.dtype == torch.float32 for parameter in discriminator.parameters())


def test_weights_are_copied_not_shared(state: State) -> None:
    discriminator = load_discriminator(state, "cifar10")
    with torch.no_grad():
        discriminator.class_token.zero_()
    assert state["cls_token"].any()


def test_prefix_of_a_parallel_module_means_nothing(state: State) -> None:
    prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
    assert_same(load_discriminator(prefixed, "cifar10"), load_discriminator(state, "cifar10"))


@pytest.mark.slow
def test_averaged_generator_is_preferred_to_the_last(generator_state: State) -> None:
    average = generator_state | {"l1.bias": generator_state["l1.bias"] + 1}
    content = {
        "epoch": 3,
        "gen_state_dict": generator_state,
        "avg_gen_state_dict": {f"module.{name}": tensor for name, tensor in average.items()},
    }
    bias = load_generator(content, "cifar10").latent_to_tokens.bias
    assert torch.equal(bias, average["l1.bias"])
    del content["avg_gen_state_dict"]
    bias = load_generator(content, "cifar10").latent_to_tokens.bias
    assert torch.equal(bias, generator_state["l1.bias"])


def test_discriminator_of_a_whole_checkpoint_is_found(state: State) -> None:
    content = {"gen_state_dict": {}, "dis_state_dict": state, "best_fid": 9.0}
    assert_same(load_discriminator(content, "cifar10"), load_discriminator(state, "cifar10"))


def test_kernels_count_as_the_linear_layers_they_are(state: State) -> None:
    assert state["fRGB_1.weight"].shape == (288, 3, 2, 2)
    discriminator = load_discriminator(state, "cifar10")
    for name in ("fRGB_1.weight", "fRGB_2.weight"):
        state[name] = state[name].flatten(1)
    assert_same(load_discriminator(state, "cifar10"), discriminator)


def test_half_precision_weights_are_taken_at_their_values(state: State) -> None:
    halves = {name: tensor.half() for name, tensor in state.items()}
    rounded = {name: tensor.float() for name, tensor in halves.items()}
    assert_same(load_discriminator(halves, "cifar10"), load_discriminator(rounded, "cifar10"))


def test_offsets_and_filters_that_have_no_effect_are_accepted(state: State) -> None:
    table, index = (f"blocks_2.1.attn.relative_position_{kind}" for kind in ("bias_table", "index"))
    assert len(state[table]) == 15**2
    more = {index: offsets(64), "Hz_fbank": torch.ones(3, 5), "Hz_geom": torch.ones(7)}
    assert_same(load_discriminator(state | more, "cifar10"), load_discriminator(state, "cifar10"))


INDEX = "blocks_1.2.attn.relative_position_index"
REFUSED: dict[str, tuple[Callable[[State], Any], str]] = {
    "missing": (
        lambda state: state.pop("head.bias"),
        r"discriminator of cifar10: 1 tensor missing: head\.bias; give the whole state dict",
    ),
    "many missing": (
        lambda state: [state.pop(name) for name in list(state) if name.startswith("blocks_1.0")],
        r"13 tensors missing: blocks_1\.0\.[a-z0-9_.]+, \S+, \S+ and 10 more; give",
    ),
    "unknown": (
        lambda state: state.update({"head.scale": torch.ones(1)}),
        r"1 tensor unknown: head\.scale; give the whole state dict",
    ),
    "index without a table": (
        lambda state: state.update({"head.relative_position_index": offsets(4)}),
        r"1 tensor unknown: head\.relative_position_index; give",
    ),
    "shape": (
        lambda state: state.update({"norm.norm.bias": torch.ones(383)}),
        r"norm\.norm\.bias has shape \(383,\) and type torch.float32, but \(384,\) of floating "
        r"point is wanted; give",
    ),
    "axes of a kernel": (
        lambda state: state.update({"fRGB_1.weight": state["fRGB_1.weight"].movedim(1, 3)}),
        r"fRGB_1\.weight has shape \(288, 2, 2, 3\)",
    ),
    "type": (
        lambda state: state.update({"cls_token": state["cls_token"].long()}),
        r"cls_token has shape \(1, 1, 384\) and type torch.int64, but .* floating point",
    ),
    "order of offsets": (
        lambda state: state.update({INDEX: offsets(256).t()}),
        r"blocks_1\.2\.attn\.relative_position_index numbers offsets in an order",
    ),
    "number of offsets": (
        lambda state: state.update({INDEX: offsets(64)}),
        r"blocks_1\.2\.attn\.relative_position_index numbers offsets in an order",
    ),
    "no tensor": (
        lambda state: state.update({"head.weight": 3}),
        r"head\.weight is int, not a tensor of plain numbers; give the state dict",
    ),
    "sparse": (
        lambda state: state.update({"head.weight": torch.eye(7).to_sparse()}),
        r"head\.weight is Tensor, not a tensor of plain numbers",
    ),
    "twice": (
        lambda state: state.update({"module.head.bias": torch.ones(1)}),
        r"head\.bias is there twice, with and without module\.",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_state_dict_that_does_not_fit_is_refused_by_tensor(name: str, state: State) -> None:
    change, message = REFUSED[name]
    change(state)
    with pytest.raises(OfficialWeightsError, match=message) as caught:
        load_discriminator(state, "cifar10")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("load", [load_generator, load_discriminator])
def test_preset_without_released_weights_is_refused(load: Callable[..., Any]) -> None:
    with pytest.raises(
        OfficialWeightsError,
        match=r"no weights for preset 'celeba64'; they did for cifar10, stl10, church256, celeb",
    ):
        load({}, "celeba64")


def test_checkpoint_without_the_network_is_refused(state: State) -> None:
    with pytest.raises(
        OfficialWeightsError,
        match=r"without avg_gen_state_dict or gen_state_dict: it holds dis_state_dict; give one",
    ):
        load_generator({"epoch": 1, "dis_state_dict": state}, "cifar10")
    with pytest.raises(
        OfficialWeightsError, match=r"without dis_state_dict: it holds gen_state_dict; give one"
    ):
        load_discriminator({"gen_state_dict": {}}, "cifar10")


@pytest.mark.slow
@pytest.mark.parametrize("preset", OFFICIAL_PRESETS)
def test_preset_is_told_by_the_tensors(preset: str) -> None:
    tensors = KEYS[preset]["generator"]["tensors"]
    state = {f"module.{name}": torch.empty(shape) for name, shape in tensors.items()}
    assert detect_preset(state) == preset
    assert detect_preset({"gen_state_dict": state, "dis_state_dict": {}}) == preset


@pytest.mark.slow
def test_tensors_of_no_preset_are_refused_with_the_nearest(
    generator_state: State, state: State
) -> None:
    wider = generator_state | {"pos_embed_2": torch.empty(1, 256, 257)}
    with pytest.raises(
        OfficialWeightsError, match=r"these 139 tensors; nearest is cifar10, of which 1 are missing"
    ):
        detect_preset(wider)
    with pytest.raises(OfficialWeightsError, match=r"these 101 tensors; nearest .* give a gener"):
        detect_preset(state)


@pytest.fixture(params=["zip", "legacy"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[object], Path]:
    """Write in both of torch's formats."""
    path = tmp_path / "cifar_checkpoint.pth"

    def write(content: object) -> Path:
        torch.save(content, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    return write


CONTENT: dict[str, Any] = {
    "epoch": 3,
    "best_fid": 9.26,
    "path_helper": {"log_path": "logs/cifar"},
    "avg_gen_state_dict": {"module.l1.bias": torch.arange(7.0), "half": torch.ones(5).half()},
    "gen_optimizer": {"state": {0: {"step": 11, "exp_avg": torch.ones(3)}}, "param_groups": []},
}


def test_file_gives_back_what_was_saved(save: Callable[[object], Path]) -> None:
    content = read_official_file(save(CONTENT))
    assert content["path_helper"] == CONTENT["path_helper"]
    assert content["gen_optimizer"]["state"][0]["step"] == 11
    assert torch.equal(content["avg_gen_state_dict"]["module.l1.bias"], torch.arange(7.0))


@pytest.mark.parametrize("number", [np.float64(9.26), np.float32(9.26), np.int64(9)])
def test_score_that_is_a_numpy_number_is_read(
    save: Callable[[object], Path], number: np.number[Any]
) -> None:
    assert read_official_file(save(CONTENT | {"best_fid": number}))["best_fid"] == number


@pytest.mark.parametrize("place", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numpy_number_is_read_by_its_old_and_new_name(tmp_path: Path, place: bytes) -> None:
    path = tmp_path / "old.pth"
    content = {"best_fid": np.float64(9.26)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    written, count = re.subn(rb"numpy\._?core\.multiarray", place, path.read_bytes())
    assert count == 1
    path.write_bytes(written)
    assert read_official_file(path) == content


class Touch:
    """Unpickled with all rights, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_code_in_a_file_is_refused_and_not_run(
    save: Callable[[object], Path], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    pickle.loads(pickle.dumps(Touch(made)))
    assert made.exists()
    made.unlink()
    path = save(CONTENT | {"best_fid": Touch(made)})
    with pytest.raises(OfficialWeightsError) as caught:
        read_official_file(path)
    assert not made.exists()
    assert re.fullmatch(
        r"\S+\.pth: asks to run (builtins\.)?exec, which is refused; a file of weights holds "
        r"tensors and plain values only: save its state dict anew with torch\.save",
        str(caught.value),
    )


def test_network_pickled_whole_is_refused(save: Callable[[object], Path]) -> None:
    path = save(torch.nn.Linear(3, 5))
    with pytest.raises(OfficialWeightsError, match=r"asks to run torch\.nn\.modules\.linear\.Lin"):
        read_official_file(path)


def test_file_that_is_no_dict_is_refused(save: Callable[[object], Path]) -> None:
    path = save([torch.ones(3)])
    with pytest.raises(OfficialWeightsError, match=r"pth: holds list, not a state dict or a train"):
        read_official_file(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"weights\n", b"<!DOCTYPE html>\n" * 97])
def test_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(
        OfficialWeightsError, match=r"file\.pth: no whole file of weights \(.+\); fetch it again"
    ) as caught:
        read_official_file(path)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_place_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OfficialWeightsError, match=r"can't be read \(Is a directory\); give a"):
        read_official_file(tmp_path)
    with pytest.raises(OfficialWeightsError, match=r"can't be read \(No such file or directory\)"):
        read_official_file(tmp_path / "none.pth")


def test_truncated_file_is_refused_wherever_it_ends(save: Callable[[object], Path]) -> None:
    path = save(CONTENT)
    whole = path.read_bytes()
    for length in (*range(0, len(whole), 41), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(OfficialWeightsError, match=r"no whole file of weights|asks to run"):
            read_official_file(path)


@pytest.mark.slow
def test_damaged_file_is_read_or_refused_and_nothing_else(save: Callable[[object], Path]) -> None:
    path = save(CONTENT)
    whole = path.read_bytes()
    rng = random.Random(17)
    refused = 0
    for _ in range(199):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 3, 19])):
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            read_official_file(path)
        except OfficialWeightsError as error:
            refused += 1
            assert str(path) in str(error)  # noqa: PT017
    assert refused > 50

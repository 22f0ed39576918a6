"""The position bias and its gradient against a loop over offsets, on the CPU and elsewhere."""

from __future__ import annotations

import pytest
import torch

from transgan.networks import position_bias as module
from transgan.networks.position_bias import position_bias, position_index, table_gradient


@pytest.fixture(params=["gathered", "copied", "cut out"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is that of wide grids, without a gradient.

    The third is that of GPUs; here it is taken as compiled code takes it.
    """
    if request.param == "copied":
        monkeypatch.setattr(module, "SMALL_GRID", 0)
    if request.param == "cut out":
        monkeypatch.setattr(module, "is_gathered", lambda _: False)


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("width", [1, 2, 5])
def test_bias_is_the_tables_row_for_the_offset(width: int) -> None:
    table = torch.randn((2 * width - 1) ** 2, 3, dtype=torch.float64, requires_grad=True)
    bias = position_bias(table, width)
    for query in range(width**2):
        for key in range(width**2):
            down, right = query // width - key // width, query % width - key % width
            row = (down + width - 1) * (2 * width - 1) + right + width - 1
            assert torch.equal(bias[:, query, key], table[row])
    with torch.no_grad():
        assert torch.equal(position_bias(table, width), bias)
    d_bias = torch.randn_like(bias)
    (expected,) = torch.autograd.grad(bias, table, d_bias)
    torch.testing.assert_close(table_gradient(d_bias, width), expected)


def test_index_is_made_once_and_has_memory_even_if_asked_for_where_tensors_have_none() -> None:
    with torch.device("meta"):
        index = position_index(13)
    assert index.device.type == "cpu"
    assert position_index(13) is index

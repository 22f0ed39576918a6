import pytest

from sweeps.feasibility import infeasible_because
from sweeps.memory import needed_gb
from sweeps.spec import load_spec

HEADS = "search={generator.num_heads: {choice: [2, 3]}, batch_size: {choice: [16, 128]}}"


def spec_with(*overrides):
    return load_spec("digits", (HEADS, *overrides))[1]


def test_heads_that_do_not_divide_are_infeasible_and_others_are_not():
    spec = spec_with()
    assert "does not divide" in infeasible_because(spec, {"generator.num_heads": 3})
    assert infeasible_because(spec, {"generator.num_heads": 2, "batch_size": 128}) is None


@pytest.mark.slow
def test_settings_that_need_more_memory_than_there_is_are_infeasible():
    small, large = ({"batch_size": size} for size in (16, 128))
    needs = [
        needed_gb(spec_with().trial_config(settings, 0), on_gpu=False)
        for settings in (small, large)
    ]
    spec = spec_with(f"resources.memory_gb={sum(needs) / 2:.6f}")
    assert infeasible_because(spec, small) is None
    cause = infeasible_because(spec, large)
    assert cause.startswith("needs about ")
    assert cause.endswith(f"resources.memory_gb is {sum(needs) / 2:.3g}")


@pytest.mark.parametrize("lr", [1e-4, 3e-3])
def test_learning_rates_change_no_memory(lr):
    spec = spec_with("resources.memory_gb=0.000001")
    assert infeasible_because(spec, {"optimizer.generator_lr": lr}) == infeasible_because(spec, {})

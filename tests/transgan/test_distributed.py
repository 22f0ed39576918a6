"""Two processes follow the path of one; what goes wrong in one ends all, with the reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing

from transgan.config import TrainingConfig
from transgan.training.distributed import (
    DistributedRun,
    RankError,
    train_distributed,
)
from transgan.training.trainer import DivergedError, Trainer, TrainingProgress

MakeConfig = Callable[..., TrainingConfig]

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Where a loss leaves the level of the logits open, rounding alone would move it, by a step of full
# size: Adam divides by the gradient's own size. The drift penalty holds it.
RUNS: list[dict[str, Any]] = [
    {"loss.name": "wgan-gp", "loss.drift_weight": 0.5, "loss.penalty_interval": 1},
    {"loss.name": "rpgan", "loss.drift_weight": 0.5, "microbatch_size": 2},
    {"loss.mode_seeking_weight": 0.1, "generator_batch_size": 12, "microbatch_size": 2},
]


def numbers(progress: list[TrainingProgress]) -> Tensor:
    return torch.tensor(
        [(p.kimg, p.d_loss, p.g_loss, p.penalty or 0.0, p.real_logits) for p in progress]
    )


def weights(trainer: Trainer) -> Tensor:
    parts = (trainer.generator, trainer.discriminator, trainer.ema_generator)
    return torch.cat([p.detach().flatten() for part in parts for p in part.parameters()])


@pytest.mark.parametrize("changes", RUNS, ids=["gp and drift", "rpgan", "mode seeking"])
def test_two_processes_train_as_one_with_the_whole_batch(
    make_config: MakeConfig, images: Tensor, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Within 1e-4: rounding, which Adam's first steps, all of one size, carry on.

    Batches of 7 in shares of 3 and 4. Both processes' weights went into every loss, so equal
    losses at the sixth step mean equal weights in both.
    """
    # Weight where the gradient is next to nothing moves by its sign: beta1 tames that.
    config = make_config({"batch_size": 7, "optimizer.beta1": 0.9} | changes)
    alone = Trainer(config, images)
    expected = list(alone.run(0.042, tick_kimg=0.007))
    run = DistributedRun(2, tmp_path / "checkpoint", until_kimg=0.042, tick_kimg=0.007)
    found = list(train_distributed(config, images, run))
    torch.testing.assert_close(numbers(found), numbers(expected), rtol=1e-4, atol=1e-4)
    together = Trainer(config, images)
    together.resume(run.checkpoint)
    assert together.step == 6
    torch.testing.assert_close(weights(together), weights(alone), rtol=1e-4, atol=1e-4)


def test_two_processes_go_on_from_the_checkpoint_of_one(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    config = make_config()
    alone = Trainer(config, images)
    list(alone.run(0.01, tick_kimg=0.01))
    alone.save(tmp_path / "checkpoint")
    expected = list(alone.run(0.02, tick_kimg=0.005))
    run = DistributedRun(2, tmp_path / "checkpoint", until_kimg=0.02, tick_kimg=0.005)
    found = list(train_distributed(config, images, run))
    assert [p.kimg for p in found] == [0.015, 0.02]
    torch.testing.assert_close(numbers(found), numbers(expected), rtol=1e-3, atol=1e-4)


def test_divergence_comes_out_as_in_one_process(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    config = make_config({"loss.name": "wgan-gp", "loss.penalty": "none"})
    rates = {"generator_lr": 1e30, "discriminator_lr": 1e30}
    absurd = config.model_copy(update={"optimizer": config.optimizer.model_copy(update=rates)})
    run = DistributedRun(2, tmp_path / "checkpoint", tick_kimg=0.005)
    with pytest.raises(DivergedError, match="kimg") as caught:
        list(train_distributed(absurd, images, run))
    assert caught.value.kimg <= 0.015


def test_batch_too_small_to_share_is_refused_in_the_callers_words(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    config = make_config({"batch_size": 1})
    with pytest.raises(ValueError, match="batch of 1 can't be shared by 2 processes"):
        list(train_distributed(config, images, DistributedRun(2, tmp_path / "checkpoint")))


def test_process_that_dies_ends_the_run(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint").mkdir()  # so that the first process can't write there
    run = DistributedRun(2, tmp_path / "checkpoint" / "missing" / "x", until_kimg=0.01)
    with pytest.raises(RankError, match=r"process \d of 2 ended with exit code 1"):
        list(train_distributed(make_config(), images, run))


def test_consumer_that_stops_asking_ends_the_processes(
    make_config: MakeConfig, images: Tensor, tmp_path: Path
) -> None:
    run = DistributedRun(2, tmp_path / "checkpoint", until_kimg=1000.0, tick_kimg=0.005)
    progress = train_distributed(make_config({"total_kimg": 1000.0}), images, run)
    assert next(progress).kimg == 0.005
    started = multiprocessing.active_children()
    assert len(started) == 2
    progress.close()
    assert not any(process.is_alive() for process in started)


WAIT = """
import sys, time, torch
from transgan.training.distributed import join_ranks

rank, url = int(sys.argv[1]), sys.argv[2]
with join_ranks(rank, 2, url, torch.device("cpu"), timeout_seconds=2.0) as ranks:
    print("joined", flush=True)
    if rank == 1:
        time.sleep(600)
    ranks.sum(torch.ones(3))
"""


def test_process_gives_up_on_another_after_its_timeout(tmp_path: Path) -> None:
    commands = [
        [sys.executable, "-c", WAIT, str(rank), f"file://{tmp_path}/meeting"] for rank in (0, 1)
    ]
    sleeping = subprocess.Popen(commands[1], cwd=ROOT)
    try:
        waiting = subprocess.run(
            commands[0], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        sleeping.kill()
        sleeping.wait()
    assert waiting.stdout == "joined\n"
    assert waiting.returncode == 1
    assert "imed out" in waiting.stderr

"""The largest presets on a CPU, each in a process of its own, so that its memory can be told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PEAK = """
def peak_gib():
    status = open("/proc/self/status", encoding="ascii").read()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024**2
"""
IMAGE = f"""{PEAK}
import json, torch
from transgan.networks.families import build_generator
from transgan.presets import preset_config
from transgan.sampling import latents, sample_images

config = preset_config("large1024")
generator = build_generator(config).eval()
(image,) = sample_images(generator, latents(1, config.generator.latent_dim, 0))
print(json.dumps(dict(shape=list(image.shape), spread=image.float().std().item(), gib=peak_gib())))
"""
STEP = f"""{PEAK}
import json, sys, torch
from transgan.config import TrainingConfig
from transgan.presets import merged, preset_values
from transgan.training.trainer import Trainer

changes = dict(
    batch_size=1, generator_batch_size=None, microbatch_size=None, optimizer=dict(critic_steps=1)
)
config = TrainingConfig.model_validate(merged(preset_values(sys.argv[1]), changes))
assert config.activation_checkpointing
trainer = Trainer(config, torch.randint(0, 256, (1, 3, 256, 256), dtype=torch.uint8))
networks = trainer.generator, trainer.discriminator
before = [[p.detach().sum().item() for p in network.parameters()] for network in networks]
(progress,) = trainer.run(0.001)
after = [[p.detach().sum().item() for p in network.parameters()] for network in networks]
print(json.dumps(dict(
    step=trainer.step,
    losses=[progress.d_loss, progress.g_loss, progress.penalty],
    moved=[old != new for old, new in zip(before, after)],
    gib=peak_gib(),
)))
"""


def printed_by(program: str, *arguments: str) -> dict[str, Any]:
    """What a program says of itself, run with one thread."""
    one_thread = "import torch\ntorch.set_num_threads(1)\n"
    command = [sys.executable, "-c", one_thread + program, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    print(found)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_an_image_of_1024_pixels_is_made_within_8_gib() -> None:
    found = printed_by(IMAGE)
    assert found["shape"] == [3, 1024, 1024]
    assert found["spread"] > 1
    assert found["gib"] < 8


@pytest.mark.long  # a minute and a half where nothing else runs
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_both_networks_of_256_pixels_take_a_step_with_activation_checkpointing() -> None:
    found = printed_by(STEP, "celebahq256")
    assert found["step"] == 1
    assert all(isinstance(loss, float) for loss in found["losses"])
    assert found["moved"] == [True, True]
    assert found["gib"] < 8

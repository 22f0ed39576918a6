"""The authors' files become this project's, whole, and go on from there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from tests.sweeps.command_line import call, error_line
from tests.transgan import formula
from transgan.config import TrainingConfig
from transgan.official import load_discriminator, load_generator
from transgan.presets import preset_config
from transgan.sampling import image_grid, latents, sample_images
from transgan.training.checkpoint import load_snapshot
from transgan.training.trainer import Trainer

KEYS = Path(__file__).parent.parent / "transgan" / "golden" / "official_keys.json"


def weights(network):
    """The authors' state dict for CIFAR-10, as their data-parallel modules name it."""
    keys = json.loads(KEYS.read_text(encoding="utf-8"))["networks"]["cifar10"][network]
    return {
        f"module.{name}": torch.from_numpy(formula.weight(name, tuple(shape), 0))
        for name, shape in keys["tensors"].items()
        if name not in keys["buffers"]
    }


def assert_same(one, other):
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.fixture(scope="module")
def content():
    """A whole training checkpoint whose averaged generator is not the last one."""
    last = weights("generator")
    return {
        "epoch": 3,
        "gen_state_dict": last,
        "avg_gen_state_dict": last | {"module.l1.bias": 0.5 * last["module.l1.bias"]},
        "dis_state_dict": weights("discriminator"),
        "dis_optimizer": {"state": {0: {"step": 7, "exp_avg": torch.ones(3)}}, "param_groups": []},
        "best_fid": np.float64(9.26),
        "path_helper": {"prefix": "logs/cifar"},
    }


@pytest.fixture(scope="module")
def imported(content, tmp_path_factory):
    """What the command said, and the folder that it wrote."""
    folder = tmp_path_factory.mktemp("official")
    torch.save(content, folder / "cifar_checkpoint.pth")
    result = call("import", folder / "cifar_checkpoint.pth", "--out", folder / "new" / "out")
    (folder / "cifar_checkpoint.pth").unlink()
    assert result.exit_code == 0, result.output
    return result, folder / "new" / "out"


@pytest.mark.slow
def test_paths_are_said_on_stdout_and_the_account_on_stderr(imported):
    result, out = imported
    assert result.stdout.splitlines() == [
        f"{out}/snapshot.safetensors",
        f"{out}/checkpoint.safetensors",
    ]
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.safetensors",
        "snapshot.safetensors",
    ]
    assert "Preset cifar10; generator: avg_gen_state_dict\n" in result.stderr
    assert "holds both networks and the average at step 0; it lacks" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["snapshot", "checkpoint"])
def test_generated_pixels_are_those_of_the_averaged_generator(imported, content, name, tmp_path):
    _, out = imported
    grid = tmp_path / "grid.png"
    result = call("generate", out / f"{name}.safetensors", "--num", 4, "--seed", 3, "--out", grid)
    assert result.exit_code == 0, result.output
    images = sample_images(load_generator(content, "cifar10"), latents(4, 256, seed=3))
    assert (np.asarray(Image.open(grid)) == np.asarray(image_grid(images, columns=2))).all()
    last = load_generator(content["gen_state_dict"], "cifar10")
    assert not torch.equal(sample_images(last, latents(4, 256, seed=3)), images)


@pytest.mark.slow
def test_snapshot_says_its_preset_and_claims_no_length_of_training(imported):
    _, out = imported
    assert load_snapshot(out / "snapshot.safetensors")[1] == preset_config("cifar10")
    with safe_open(out / "snapshot.safetensors", framework="pt") as file:
        assert "kimg" not in file.metadata()


def images(num):
    rng = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (num, 3, 32, 32), generator=rng, dtype=torch.uint8)


@pytest.mark.slow
def test_trainer_of_the_preset_resumes_with_the_authors_networks(imported, content):
    _, out = imported
    trainer = Trainer(preset_config("cifar10"), images(7))
    trainer.resume(out / "checkpoint.safetensors")
    assert trainer.step == 0
    assert not trainer.generator_optimizer.state
    assert_same(trainer.generator, load_generator(content["gen_state_dict"], "cifar10"))
    assert_same(trainer.ema_generator, load_generator(content, "cifar10"))
    assert_same(trainer.discriminator, load_discriminator(content, "cifar10"))


@pytest.mark.slow
def test_training_goes_on_from_the_checkpoint(imported, tmp_path):
    """With the preset's batches a step would take minutes; the config alone is changed."""
    _, out = imported
    values = preset_config("cifar10").model_dump()
    values |= {"batch_size": 3, "generator_batch_size": 3}
    values["optimizer"] |= {"critic_steps": 1}
    config = TrainingConfig.model_validate(values)
    with safe_open(out / "checkpoint.safetensors", framework="pt") as file:
        header = file.metadata() | {"config": config.model_dump_json()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, tmp_path / "checkpoint.safetensors", header)
    trainer = Trainer(config, images(7))
    trainer.resume(tmp_path / "checkpoint.safetensors")
    (progress,) = trainer.run(until_kimg=0.003)
    assert trainer.step == 1
    assert progress.g_loss is not None
    moved = trainer.discriminator.head.weight.detach() - tensors["discriminator.head.weight"]
    assert 0 < moved.abs().max() < 2e-4  # Adam's first step is the learning rate, 1e-4


@pytest.mark.slow
def test_bare_generator_gives_a_snapshot_alone(content, tmp_path):
    path, out = tmp_path / "generator.pth", tmp_path / "out"
    torch.save(content["gen_state_dict"], path)
    result = call("import", path, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}/snapshot.safetensors\n"
    assert "No checkpoint to train on from: there is no dis_state_dict" in result.stderr
    generator, _ = load_snapshot(out / "snapshot.safetensors")
    assert_same(generator, load_generator(content["gen_state_dict"], "cifar10"))
    assert "/out: can't be written (" in error_line("import", path, "--out", path / "out")


@pytest.mark.slow
def test_discriminator_that_does_not_fit_is_refused_before_anything_is_written(content, tmp_path):
    path, out = tmp_path / "mixed.pth", tmp_path / "out"
    torch.save({"avg_gen_state_dict": content["gen_state_dict"], "dis_state_dict": {}}, path)
    line = error_line("import", path, "--out", out)
    assert "discriminator of cifar10: 101 tensors missing: cls_token" in line
    assert not out.exists()


@pytest.mark.parametrize("name", ["snapshot.safetensors", "checkpoint.safetensors"])
def test_existing_file_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("precious", encoding="utf-8")
    line = error_line("import", tmp_path / "any.pth", "--out", tmp_path)
    assert line == f"error: {tmp_path / name}: exists already; give another --out, or remove it"
    assert (tmp_path / name).read_text(encoding="utf-8") == "precious"


def test_file_in_place_of_the_folder_is_refused(tmp_path):
    place = tmp_path / "file"
    place.write_text("", encoding="utf-8")
    assert "is no folder; give another --out" in error_line("import", "any.pth", "--out", place)


def test_something_else_is_refused_by_path_and_nothing_written(tmp_path):
    path, out = tmp_path / "text.pth", tmp_path / "out"
    path.write_text("no weights at all", encoding="utf-8")
    assert f"error: {path}: no whole file of weights" in error_line("import", path, "--out", out)
    assert "No such file" in error_line("import", tmp_path / "none.pth", "--out", out)
    torch.save({"epoch": 1, "dis_state_dict": {}}, path)
    assert "it holds dis_state_dict; give one" in error_line("import", path, "--out", out)
    assert not out.exists()

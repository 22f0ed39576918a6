"""Training of classifiers and detectors on tiny networks."""

import pytest
import torch

from transgan.config import TrainingConfig
from transgan.data import DataError, ImageData, load_data
from transgan.data.scenes import digit_scenes
from transgan.data_config import DataConfig
from transgan.presets import PRESETS, merged
from transgan.tasks.network import build_network
from transgan.tasks.trainer import TaskTrainer, detect_objects, predict_classes, shifted
from transgan.training.checkpoint import CheckpointError


def config_of(preset, downstream, **values):
    over = {"preset": preset, "downstream": downstream, **values}
    return TrainingConfig.model_validate(merged(PRESETS[preset], over))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def digits():
    return load_data(DataConfig(name="digits"))


@pytest.fixture(scope="module")
def scenes():
    return digit_scenes(32, num_train=13, num_held_out=5)


SCENES = {
    "image_size": 32,
    "batch_size": 4,
    "total_kimg": 0.012,
    "discriminator": {
        "embed_dims": [16, 32],
        "depths": [1, 1],
        "window_size": None,
        "windowed_depths": [],
    },
}


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


@pytest.mark.slow
def test_linear_probe_learns_and_its_backbone_stays(digits):
    config = config_of("digits", {"task": "classify", "frozen_levels": 2}, total_kimg=2.4)
    trainer = TaskTrainer(config, digits)
    levels = trainer.network.features.levels
    before = [p.clone() for p in levels.parameters()]
    losses = [progress.loss for progress in trainer.run()]
    assert losses[-1] < losses[0] / 2
    assert all(torch.equal(a, b) for a, b in zip(before, levels.parameters(), strict=True))
    predicted = predict_classes(trainer.network, digits.held_out_images).argmax(dim=1)
    assert (predicted == digits.held_out_labels).float().mean() > 0.8


def test_resumed_classifier_goes_on_as_the_uninterrupted_one(digits, tmp_path):
    config = config_of("digits", {"task": "classify", "head": "mlp"}, total_kimg=0.256)
    whole = TaskTrainer(config, digits)
    list(whole.run())
    first = TaskTrainer(config, digits)
    list(first.run(0.128))
    first.save(tmp_path / "c.safetensors")
    second = TaskTrainer(config, digits)
    second.resume(tmp_path / "c.safetensors")
    list(second.run())
    assert torch.equal(weights(whole), weights(second))
    other = TaskTrainer(config.model_copy(update={"seed": 1}), digits)
    with pytest.raises(CheckpointError, match="seed: 0 there, 1 here"):
        other.resume(tmp_path / "c.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("head", ["fcos", "retinanet", "faster-rcnn"])
def test_every_detector_takes_a_step_and_gives_boxes_within_the_image(scenes, head):
    config = config_of("digit-scenes", {"task": "detect", "head": head, "head_dim": 32}, **SCENES)
    trainer = TaskTrainer(config, scenes)
    before = weights(trainer)
    (progress,) = list(trainer.run())
    assert progress.loss > 0
    assert not torch.equal(before, weights(trainer))
    found = detect_objects(trainer.network, scenes.held_out_images)
    assert len(found) == 5
    for objects, scores in found:
        assert objects.boxes.shape == (len(scores), 4)
        assert ((objects.boxes >= 0) & (objects.boxes <= 32)).all()
        assert ((objects.labels >= 0) & (objects.labels < 10)).all()
        assert (scores.diff() <= 0).all()


def test_same_seed_gives_the_same_detector(scenes):
    config = config_of("digit-scenes", {"task": "detect", "head_dim": 32}, **SCENES)
    first, second = TaskTrainer(config, scenes), TaskTrainer(config, scenes)
    list(first.run())
    list(second.run())
    assert torch.equal(weights(first), weights(second))


def test_shift_moves_whole_images_by_whole_pixels():
    torch.manual_seed(0)
    image = torch.arange(49.0).view(1, 1, 7, 7).expand(64, 2, 7, 7)
    moved = shifted(image, 0.125)
    # The middle pixel came from one of its eight neighbours or itself.
    came = {divmod(int(value), 7) for value in moved[:, 0, 3, 3]}
    assert came == {(y, x) for y in (2, 3, 4) for x in (2, 3, 4)}
    assert torch.equal(moved[:, 0], moved[:, 1])
    assert torch.equal(shifted(image, 0.0), image)


def test_data_without_boxes_or_labels_is_refused(digits, scenes):
    with pytest.raises(DataError, match="digits has no boxes to detect"):
        TaskTrainer(config_of("digits", {"task": "detect"}), digits)
    bare = ImageData("bare", digits.train_images, digits.held_out_images, None, None)
    with pytest.raises(DataError, match="bare has no labels to classify by"):
        TaskTrainer(config_of("digits", {"task": "classify"}), bare)


def test_checkpoint_of_another_discriminator_is_refused(digits, tmp_path):
    from transgan.backbone import BackboneError
    from transgan.training.trainer import Trainer

    config = config_of("digits", {})
    trainer = Trainer(config, digits.train_images)
    trainer.save(tmp_path / "gan.safetensors")
    wanted = config_of(
        "digits",
        {"task": "classify", "backbone": str(tmp_path / "gan.safetensors")},
        discriminator={"num_heads": 2},
    )
    with pytest.raises(BackboneError, match=r"discriminator\.num_heads 4, and here it is 2"):
        build_network(wanted, 10)


@pytest.mark.parametrize(
    ("downstream", "fault"),
    [
        ({"frozen_levels": 1}, "no effect where the GAN itself is trained"),
        ({"task": "classify", "head": "fcos"}, "head fcos does not classify; choose linear or mlp"),
        ({"task": "classify", "head_dim": 9}, "no effect on a linear head"),
        ({"task": "detect", "shift": 0.5}, "shift has no effect on detection"),
        ({"task": "detect", "head_dim": 40}, "make it a multiple of 32"),
        ({"task": "classify", "batch_size": 1}, "brings features to unit variance over a batch"),
        ({"task": "classify", "frozen_levels": 3}, "has 2 levels; say 2 or less"),
    ],
)
def test_option_without_effect_is_refused(downstream, fault):
    over = {name: value for name, value in downstream.items() if name == "batch_size"}
    with pytest.raises(ValueError, match=fault):
        config_of("digits", {k: v for k, v in downstream.items() if k not in over}, **over)

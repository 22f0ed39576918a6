"""Images out of a generator: the i-th always from the i-th seed, whatever the batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from transgan.images import to_uint8
from transgan.networks.families import AnyGenerator
from transgan.seeds import derived_seed

IMAGES_AT_ONCE = 250
MOST_GRID_PIXELS = 1 << 27
"""A sheet of 11,585 pixels a side: half a gigabyte, and as much again to write it."""


class OutputError(ValueError):
    """Images can't be written where they should go."""


class NotFiniteError(ArithmeticError):
    """A generator gave images that are not numbers."""


def latents(
    num: int, latent_dim: int, seed: int, *, start: int = 0
) -> Float[Tensor, "num latent_dim"]:
    """Latents number `start` … `start + num - 1` of the endless sequence that `seed` stands for.

    Each is drawn from its own seed, so that image i is the same in any batch and any total.
    """
    rng = torch.Generator()
    drawn = []
    for index in range(start, start + num):
        rng.manual_seed(derived_seed(seed, "latent", index))
        drawn.append(torch.randn(latent_dim, generator=rng))
    return torch.stack(drawn)


def sample_images(
    generator: AnyGenerator, z: Float[Tensor, "num latent_dim"], *, batch_size: int = IMAGES_AT_ONCE
) -> UInt8[Tensor, "num channels height width"]:
    """Images for the latents `z`, on the CPU; the generator's mode is left as it was.

    Raises:
        NotFiniteError: some are not numbers, of which no image could be made.
    """
    images, is_finite = drawn_images(generator, z, batch_size=batch_size)
    if not is_finite.all():
        broken = torch.nonzero(~is_finite).flatten()
        raise NotFiniteError(
            f"{len(broken)} of {len(images)} generated images are not numbers, the first is image "
            f"{int(broken[0])}"
        )
    return images


@torch.inference_mode()
def drawn_images(
    generator: AnyGenerator, z: Float[Tensor, "num latent_dim"], *, batch_size: int
) -> tuple[UInt8[Tensor, "num channels height width"], Bool[Tensor, " num"]]:
    """What `sample_images` gives, unchecked, and of each image whether all of it was numbers.

    No value decides what is done here, so that it can be rehearsed.
    """
    device = next(generator.parameters()).device
    was_training = generator.training
    generator.eval()
    batches, finite = [], []
    try:
        with generator.constant_noise():
            for part in z.split(batch_size):
                images = generator(part.to(device))
                finite.append(images.flatten(1).isfinite().all(dim=1).cpu())
                batches.append(to_uint8(images).cpu())
    finally:
        generator.train(was_training)
    return torch.cat(batches), torch.cat(finite)


def seeded_images(generator: AnyGenerator, seed: int) -> Callable[[range], Tensor]:
    """A function from indices to images, uint8 on the CPU: image i always from latent i of `seed`.

    It raises `NotFiniteError` as `sample_images` does.
    """

    def generate(indices: range) -> Tensor:
        z = latents(len(indices), generator.latent_dim, seed, start=indices.start)
        return sample_images(generator, z)

    return generate


def image_grid(
    images: UInt8[Tensor, "num channels height width"], *, columns: int, gap: int = 1
) -> Image.Image:
    """The images side by side in rows of `columns`, `gap` white pixels between them."""
    num, channels, height, width = images.shape
    rows = -(-num // columns)
    sheet = torch.full(
        (channels, rows * (height + gap) - gap, columns * (width + gap) - gap),
        255,
        dtype=torch.uint8,
    )
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    pixels = sheet.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def save_image(image: Image.Image, path: Path) -> None:
    """Write `image` as PNG so that `path` never holds half of it."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        image.save(partial, format="png")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_samples(generator: AnyGenerator, num: int, seed: int, out: Path) -> None:
    """Write `num` images: one grid if `out` ends in .png, else a file each into the folder `out`.

    Raises:
        OutputError: `out` can't be written, or would be too large a grid.
    """
    if out.suffix and out.suffix.lower() != ".png":
        raise OutputError(f"--out {out}: images are written as .png, or into a folder")
    try:
        if out.suffix:
            _check_grid(generator, num, out)
            images = sample_images(generator, latents(num, generator.latent_dim, seed))
            save_image(image_grid(images, columns=round(num**0.5)), out)
            return
        out.mkdir(parents=True, exist_ok=True)
        for start in range(0, num, IMAGES_AT_ONCE):
            z = latents(min(IMAGES_AT_ONCE, num - start), generator.latent_dim, seed, start=start)
            for index, image in enumerate(sample_images(generator, z), start):
                save_image(image_grid(image[None], columns=1), out / f"{index:06d}.png")
    except OSError as error:
        raise OutputError(f"--out {out}: can't be written ({error.strerror or error})") from None


def _check_grid(generator: AnyGenerator, num: int, out: Path) -> None:
    """Refuse a grid that would not fit into memory, before anything is drawn."""
    one = sample_images(generator, latents(1, generator.latent_dim, 0))
    height, width = one.shape[2:]
    most = MOST_GRID_PIXELS // ((height + 1) * (width + 1))
    if num > most:
        raise OutputError(
            f"--out {out}: a grid of {num} images of {width}×{height} is too large; it holds at "
            f"most {most}: give fewer, or write files into a folder"
        )

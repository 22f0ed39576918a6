"""Data sets as two disjoint splits of uint8 images: one to train on, one to score against."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from torch import Tensor

from transgan.config import DataConfig

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
HELD_OUT_SHARE = 1 / 5
MIN_IMAGES = 100

# What Pillow and zipfile raise for damaged or unsupported content, as fuzzing them shows.
_BAD_IMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_BAD_ZIP_MEMBER = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


class DataError(ValueError):
    """A data set that can't be had or can't be used, with the way out."""


@dataclass(frozen=True)
class ImageData:
    """Images of one size, split once and for all; labels where the source has them."""

    name: str
    train_images: UInt8[Tensor, "num_train channels size size"]
    held_out_images: UInt8[Tensor, "num_held_out channels size size"]
    train_labels: Int64[Tensor, " num_train"] | None
    held_out_labels: Int64[Tensor, " num_held_out"] | None

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.train_images.shape[1])

    @property
    def image_size(self) -> int:
        """Side of every image, in pixels."""
        return int(self.train_images.shape[-1])

    @property
    def description(self) -> str:
        """Name and sizes in words."""
        return (
            f"{self.name} ({len(self.train_images):,} training images, "
            f"{len(self.held_out_images):,} held out, "
            f"{self.image_size}×{self.image_size}×{self.channels})"
        )

    def fingerprint(self) -> str:
        """SHA-256 of all pixels of both splits."""
        digest = hashlib.sha256()
        for images in (self.train_images, self.held_out_images):
            digest.update(repr(tuple(images.shape)).encode())
            digest.update(images.numpy().tobytes())
        return digest.hexdigest()


def load_data(config: DataConfig, *, cache: Path | None = None) -> ImageData:
    """The data set that `config` names: `digits`, `cifar10`, or a folder or zip file of images.

    Args:
        config: which, and at which size.
        cache: where downloads are kept; by default `~/.cache/tg-sweep`.

    Raises:
        DataError: unknown name, no such folder, nothing usable in it, or a download that failed.
    """
    match config.name:
        case "digits":
            return _digits()
        case "cifar10":
            return _cifar10(cache or Path.home() / ".cache" / "tg-sweep")
        case _:
            return _image_files(config)


def _digits() -> ImageData:
    """The 1,797 handwritten digits of 8×8 pixels that scikit-learn carries: 1,197 + 600."""
    from sklearn.datasets import load_digits  # heavy, and wanted by this data set alone

    bunch = load_digits()
    images = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    return _split("digits", images, labels, num_held_out=600)


def _cifar10(cache: Path) -> ImageData:
    """CIFAR-10 with its own split: 50,000 to train on, 10,000 held out."""
    from torchvision.datasets import CIFAR10

    try:
        parts = [CIFAR10(cache / "cifar10", train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"data.name: cifar10 could not be downloaded ({error}); put cifar-10-python.tar.gz "
            f"into {cache / 'cifar10'}, or use data.name: digits"
        ) from None
    images = [torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous() for part in parts]
    labels = [torch.tensor(part.targets) for part in parts]
    return ImageData("cifar10", images[0], images[1], labels[0], labels[1])


def _image_files(config: DataConfig) -> ImageData:
    """Image files below a folder or in a zip; sub-folders of the first level are the labels."""
    path = Path(config.name).expanduser()
    if not path.exists():
        raise DataError(
            f"data.name: no data set and no folder or zip file called {config.name!r}; "
            "known data sets: digits, cifar10"
        )
    images, classes = [], []
    for name, content in _image_contents(path):
        try:
            with Image.open(io.BytesIO(content)) as image:
                images.append(_square(_as_rgb(image), config.resolved_size))
        except _BAD_IMAGE as error:
            raise DataError(f"data.name: {path}: {name} is no readable image ({error})") from None
        classes.append(name.split("/")[0] if "/" in name else "")
    if len(images) < MIN_IMAGES:
        raise DataError(
            f"data.name: {path} holds {len(images)} images ({', '.join(IMAGE_SUFFIXES)}), but at "
            f"least {MIN_IMAGES} are needed to train on and hold some out"
        )
    names = sorted(set(classes))
    labels = torch.tensor([names.index(name) for name in classes]) if len(names) > 1 else None
    return _split(path.stem, torch.stack(images), labels, round(len(images) * HELD_OUT_SHARE))


def _image_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name (relative, with /) and bytes of each image file, in order of name."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError):
        raise DataError(f"data.name: {path} is neither a folder nor a zip file") from None
    with archive:
        for name in sorted(archive.namelist()):
            # macOS puts a shadow of each file into its zips.
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("__MACOSX/"):
                try:
                    content = archive.read(name)
                except _BAD_ZIP_MEMBER as error:
                    raise DataError(f"data.name: {path}: {name} can't be read ({error})") from None
                yield name, content


def _as_rgb(image: Image.Image) -> Image.Image:
    """`image` in 8-bit RGB, transparency left out."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _square(image: Image.Image, size: int) -> Tensor:
    """The middle square of `image`, resized with anti-aliasing, (3, size, size)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _split(name: str, images: Tensor, labels: Tensor | None, num_held_out: int) -> ImageData:
    """Hold out `num_held_out` images, the same ones each time, each class in its proportion."""
    rng = np.random.default_rng(0)
    order = torch.from_numpy(rng.permutation(len(images)))
    if labels is not None:
        # Sorted by class and cut evenly: every class gives its share.
        by_class = order[labels[order].argsort(stable=True)]
        cuts = torch.arange(num_held_out) * len(images) // num_held_out
        held_out = by_class[cuts]
    else:
        held_out = order[:num_held_out]
    mask = torch.zeros(len(images), dtype=torch.bool)
    mask[held_out] = True
    return ImageData(
        name=name,
        train_images=images[~mask],
        held_out_images=images[mask],
        train_labels=None if labels is None else labels[~mask],
        held_out_labels=None if labels is None else labels[mask],
    )

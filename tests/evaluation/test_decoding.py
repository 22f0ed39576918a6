"""Pictures of every mode, read as the trainer reads them, or refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.decoding import SUFFIXES, PictureError, decode, middle_square
from transgan.data.image_files import IMAGE_SUFFIXES
from transgan.data.picture import PictureError as TrainersPictureError
from transgan.data.picture import decode as decode_for_the_trainer

SIDE = 13
RANDOM = np.random.default_rng(0)


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(pixels(SIDE, SIDE, 3)), "JPEG", exif=exif)


def palette(transparent: bool) -> bytes:
    image = Image.fromarray(pixels(SIDE, SIDE, 3)).quantize(17)
    return encoded(image, **({"transparency": 3} if transparent else {}))


COLOUR = Image.fromarray(pixels(SIDE, SIDE, 3))
GREY = Image.fromarray(pixels(SIDE, SIDE))
DEEP = Image.fromarray(pixels(SIDE, SIDE, dtype=np.uint16))
ALPHA = Image.fromarray(pixels(SIDE, SIDE, 4))
ZOO = {
    "rgb": encoded(COLOUR),
    "grey": encoded(GREY),
    "one bit": encoded(GREY.convert("1")),
    "alpha": encoded(ALPHA),
    "grey alpha": encoded(ALPHA.convert("LA")),
    "alpha in WebP": encoded(ALPHA, "WEBP", lossless=True),
    "palette": palette(transparent=False),
    "transparent palette": palette(transparent=True),
    "transparent colour": encoded(COLOUR, transparency=COLOUR.getpixel((5, 7))),
    "16 bits": encoded(DEEP),
    "transparent 16 bits": encoded(DEEP, transparency=int(np.asarray(DEEP)[3, 5])),
    "CMYK": encoded(COLOUR.convert("CMYK"), "JPEG"),
    "BMP": encoded(COLOUR, "BMP"),
    "GIF": encoded(COLOUR, "GIF"),
    "TIFF": encoded(COLOUR, "TIFF"),
    **{f"EXIF {orientation}": turned(orientation) for orientation in range(1, 9)},
}


@pytest.mark.parametrize("kind", ZOO)
def test_picture_is_read_as_the_trainer_reads_it(kind: str) -> None:
    ours, trainers = decode(ZOO[kind], 3), decode_for_the_trainer(kind, ZOO[kind], SIDE).pixels
    assert np.array_equal(ours, trainers)


@pytest.mark.parametrize(("width", "height", "size"), [(31, 20, 7), (17, 30, 17), (11, 11, 23)])
def test_asked_for_a_size_it_is_the_trainers_square(width: int, height: int, size: int) -> None:
    content = encoded(Image.fromarray(pixels(height, width, 3)))
    trainers = decode_for_the_trainer("picture", content, size).pixels
    assert np.array_equal(decode(content, 3, size), trainers)


def test_without_a_size_the_whole_picture_is_taken() -> None:
    array = pixels(7, 11, 3)
    assert np.array_equal(decode(encoded(Image.fromarray(array)), 3), array.transpose(2, 0, 1))


def test_suffixes_are_the_trainers() -> None:
    assert set(SUFFIXES) == set(IMAGE_SUFFIXES)


ANIMATION = encoded(GREY, "GIF", save_all=True, append_images=[GREY.rotate(90)])
UNUSABLE = {
    "truncated PNG": (encoded(COLOUR)[:-200], "truncated|Truncated"),
    "truncated JPEG": (turned(1)[:-100], "truncated"),
    "text": (b"no picture at all", "no picture of a known format"),
    "nothing": (b"", "no picture of a known format"),
    "animation": (ANIMATION, "animated or has several pages"),
    "32-bit grey": (encoded(GREY.convert("F"), "TIFF"), "32-bit grey"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_picture_is_refused_here_and_by_the_trainer(kind: str) -> None:
    content, message = UNUSABLE[kind]
    with pytest.raises(PictureError, match=message):
        decode(content, 3)
    with pytest.raises(TrainersPictureError):
        decode_for_the_trainer(kind, content, SIDE)


def test_one_channel_is_had_from_equal_channels_and_not_from_colours() -> None:
    array = np.asarray(GREY)
    assert np.array_equal(decode(encoded(GREY.convert("RGB")), 1), array[None])
    with pytest.raises(PictureError, match="has colours, and one channel is wanted"):
        decode(encoded(COLOUR), 1)


def test_square_of_the_same_size_is_untouched() -> None:
    array = pixels(1, SIDE, SIDE)
    assert np.array_equal(middle_square(array, SIDE), array)

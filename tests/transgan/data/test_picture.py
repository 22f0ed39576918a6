"""Every kind of file gives the RGB that a viewer shows, or is refused with the reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transgan.data.picture import PictureError, decode

GREY = 77


def encoded(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colour_of(content: bytes) -> list[int]:
    """The colour of a picture that has one colour, seen at 5×5."""
    pixels = decode("x", content, 5).pixels
    assert pixels.shape == (3, 5, 5)
    assert pixels.dtype == np.uint8
    assert (pixels == pixels[:, :1, :1]).all()
    return pixels[:, 0, 0].tolist()


def error_of(content: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        decode("broken.png", content, 5)
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "gif", "jpeg"])
def test_rgb_keeps_its_colour_in_every_format(kind: str) -> None:
    options = {"webp": {"lossless": True}, "jpeg": {"quality": 100}}.get(kind, {})
    found = colour_of(encoded(Image.new("RGB", (13, 7), (200, 90, 30)), kind, **options))
    assert np.abs(np.subtract(found, (200, 90, 30))).max() <= (2 if kind == "jpeg" else 0)


@pytest.mark.parametrize(("mode", "value", "expected"), [("L", GREY, GREY), ("1", 1, 255)])
def test_grey_and_black_and_white_fill_all_channels(mode: str, value: int, expected: int) -> None:
    assert colour_of(encoded(Image.new(mode, (7, 7), value))) == [expected] * 3


def test_palette_gives_its_colours() -> None:
    image = Image.new("P", (7, 7), 3)
    image.putpalette([0, 0, 0] * 3 + [1, 99, 3])
    assert colour_of(encoded(image)) == [1, 99, 3]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white_whatever_colour_it_hides(mode: str) -> None:
    hidden = (13, 17, 19, 0) if mode == "RGBA" else (13, 0)
    assert colour_of(encoded(Image.new(mode, (7, 7), hidden))) == [255] * 3
    opaque = (13, 17, 19, 255) if mode == "RGBA" else (13, 255)
    expected = [13, 17, 19] if mode == "RGBA" else [13] * 3
    assert colour_of(encoded(Image.new(mode, (7, 7), opaque))) == expected


def test_half_transparent_black_is_grey() -> None:
    assert colour_of(encoded(Image.new("RGBA", (7, 7), (0, 0, 0, 128)))) == [127] * 3


def test_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (7, 7), 2)
    image.putpalette([1, 99, 3] * 256)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert colour_of(encoded(image, transparency=2)) == [255] * 3
        assert colour_of(encoded(image, transparency=bytes([255, 255, 0]))) == [255] * 3
        assert colour_of(encoded(image, transparency=5)) == [1, 99, 3]


def test_transparent_colour_of_rgb_and_of_grey_is_white() -> None:
    rgb = Image.new("RGB", (7, 7), (9, 8, 7))
    assert colour_of(encoded(rgb, transparency=(9, 8, 7))) == [255] * 3
    assert colour_of(encoded(Image.new("L", (7, 7), 9), transparency=9)) == [255] * 3


def sixteen_bit(value: int) -> Image.Image:
    return Image.fromarray(np.full((7, 7), value, np.uint16))


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bit_grey_keeps_its_brightness(kind: str) -> None:
    assert colour_of(encoded(sixteen_bit(GREY * 256 + 13), kind)) == [GREY] * 3


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(bits: int, colour_type: int, pixel: bytes, *more: bytes) -> bytes:
    """A PNG of 7×7 equal pixels; Pillow can't write all of them."""
    header = struct.pack(">IIBBBBB", 7, 7, bits, colour_type, 0, 0, 0)
    rows = zlib.compress((b"\0" + pixel * 7) * 7)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_sixteen_bit_colour_keeps_its_high_bytes() -> None:
    assert colour_of(png(16, 2, struct.pack(">HHH", 7 * 256 + 200, 130 * 256, 65535))) == [
        7,
        130,
        255,
    ]


def test_transparent_value_of_sixteen_bit_grey_is_white() -> None:
    value = GREY * 256 + 13
    pixel = struct.pack(">H", value)
    assert colour_of(png(16, 0, pixel, chunk(b"tRNS", pixel))) == [255] * 3
    assert colour_of(png(16, 0, pixel, chunk(b"tRNS", struct.pack(">H", value + 1)))) == [GREY] * 3


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_cmyk_becomes_rgb(kind: str) -> None:
    options = {"quality": 100} if kind == "jpeg" else {}
    found = colour_of(encoded(Image.new("CMYK", (7, 7), (0, 255, 255, 0)), kind, **options))
    assert np.abs(np.subtract(found, (255, 0, 0))).max() <= 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_grey_without_a_fixed_white_is_refused(mode: str) -> None:
    message = error_of(encoded(Image.new(mode, (7, 7), 1000), "tiff"))
    assert message == f"broken.png (32-bit grey (mode {mode}), whose white is unknown)"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
def test_picture_is_turned_upright_as_its_exif_says(orientation: int, kind: str) -> None:
    upright = Image.new("L", (32, 32), 20)  # in the blocks of a JPEG
    upright.paste(220, (0, 0, 16, 16))  # light at the top left
    upright.paste(120, (16, 0, 32, 16))
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright if orientation == 1 else upright.transpose(turn[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(stored.convert("RGB"), kind, exif=exif)
    quarters = decode("x", content, 32).pixels[0, 8::16, 8::16]
    assert np.abs(np.subtract(quarters, [[220, 120], [20, 20]], dtype=int)).max() < 5


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff"])
def test_animation_is_refused_with_its_number_of_frames(kind: str) -> None:
    frames = [Image.new("RGB", (7, 7), (40 * index, 3, 5)) for index in range(3)]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert error_of(content) == "broken.png (3 frames or pages; one is wanted)"


def test_main_picture_of_a_phones_jpeg_is_taken() -> None:
    preview = Image.new("RGB", (3, 3), (250, 250, 250))
    content = encoded(
        Image.new("RGB", (7, 7), (30, 30, 30)), "mpo", save_all=True, append_images=[preview]
    )
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    assert max(colour_of(content)) <= 32


def test_middle_square_of_an_oblong_picture_is_used() -> None:
    pixels = np.zeros((5, 15, 3), np.uint8)
    pixels[:, 5:10] = 200
    for oblong in (pixels, pixels.transpose(1, 0, 2)):
        assert colour_of(encoded(Image.fromarray(np.ascontiguousarray(oblong)))) == [200] * 3


def test_picture_of_the_right_size_keeps_each_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 13, 3), dtype=np.uint8)
    found = decode("x", encoded(Image.fromarray(pixels)), 13)
    assert np.array_equal(found.pixels, pixels.transpose(2, 0, 1))
    assert not found.enlarged
    assert decode("x", encoded(Image.fromarray(pixels)), 17).enlarged


NOISE = np.random.default_rng(0).integers(0, 256, (29, 29, 3), dtype=np.uint8)
PNG, JPEG = (encoded(Image.fromarray(NOISE), kind) for kind in ("png", "jpeg"))


NO_PICTURE = "not a PNG, JPEG, WebP, BMP, GIF or TIFF picture"


def bad_size() -> bytes:
    content = bytearray(encoded(Image.new("RGB", (7, 7)), "bmp"))
    content[18:26] = (10**6).to_bytes(4, "little") * 2
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", NO_PICTURE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 7 7\n", NO_PICTURE),
        (b"no pixels", NO_PICTURE),
        (PNG[:1000], "runcated"),
        (JPEG[:1000], "runcated"),
        (PNG.replace(b"IDAT", b"\xff\xff\xff\xff"), ""),
        (PNG[:11] + b"\7" + PNG[12:], ""),
        (bad_size(), "exceeds limit"),
    ],
    ids=["empty", "postscript", "text", "cut-png", "cut-jpeg", "chunk", "header", "huge"],
)
def test_damaged_picture_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    message = error_of(content)
    assert message.startswith("broken.png (")
    assert reason in message


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "webp", "tiff"])
def test_no_damage_gets_past_as_another_error(kind: str) -> None:
    """Every tenth byte is spoilt in turn: either the picture is read, or it is refused."""
    small = Image.fromarray(NOISE).resize((11, 11))
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(small, kind, **({} if kind in ("gif", "bmp") else {"exif": exif}))
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of some damage that it can read past
        for at in range(0, len(content), max(len(content) // 150, 1)):
            for value in (0, 255, content[at] ^ 1):
                spoilt = content[:at] + bytes([value]) + content[at + 1 :]
                try:
                    decode("x", spoilt, 5)
                except PictureError:
                    refused += 1
    assert refused > 0

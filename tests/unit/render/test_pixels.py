from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mlci.render.pixels import MAX_SIDE, repainted

HIDDEN = b"<script>alert(1)</script>"


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30), colour: Any = 128, **saved: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, **{"format": "PNG"} | saved)
    return buffer.getvalue()


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(io.BytesIO(content))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says that it is vast."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(picture(), id="png"),
        pytest.param(picture(format="JPEG"), id="jpeg"),
        pytest.param(picture("CMYK", format="JPEG"), id="cmyk"),
        pytest.param(picture("P"), id="palette"),
        pytest.param(picture("1"), id="black and white"),
        pytest.param(picture("I;16", colour=30_000), id="16 bit"),
        pytest.param(picture("LA", colour=(128, 255)), id="grey with alpha"),
    ],
)
def test_repainted__every_kind_becomes_a_plain_png(content: bytes) -> None:
    found = opened(repainted(content))
    assert (found.format, found.mode, found.size) == ("PNG", "RGB", (40, 30))


def test_repainted__equal_pixels_give_equal_bytes_whatever_came_with_them() -> None:
    text = PngInfo()
    text.add_text("Comment", HIDDEN.decode())
    text.add_itxt("XML:com.adobe.xmp", HIDDEN.decode())
    exif = Image.Exif()
    exif[0x010E] = HIDDEN.decode()
    dressed = picture(pnginfo=text, exif=exif, icc_profile=HIDDEN, dpi=(300, 300)) + HIDDEN
    assert HIDDEN in dressed
    found = repainted(dressed)
    assert found == repainted(picture())
    assert HIDDEN not in (found or b"")
    assert opened(found).info == {}


def test_repainted__what_is_transparent_is_white() -> None:
    assert opened(repainted(picture("RGBA", colour=(0, 0, 0, 0)))).getpixel((0, 0)) == (255, 255, 255)


def test_repainted__a_large_one_becomes_smaller() -> None:
    assert opened(repainted(picture(size=(4000, 1000)))).size == (MAX_SIDE, 250)


def test_repainted__noise_becomes_so_small_that_it_fits() -> None:
    noise = Image.effect_noise((1000, 1000), 120).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    assert len(buffer.getvalue()) > 500_000
    assert len(repainted(buffer.getvalue()) or b"") in range(1, 400_001)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(picture(format="GIF"), id="gif"),
        pytest.param(picture(format="TIFF"), id="tiff"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", id="postscript"),
        pytest.param(picture(size=(400, 300), colour="red")[:-200], id="cut"),
        pytest.param(picture()[:40] + bytes(40) + picture()[80:], id="damaged"),
        pytest.param(claims(5_001, 5_000), id="too many pixels"),
        pytest.param(claims(60_000, 60_000), id="a bomb"),
        pytest.param(claims(2**31 - 1, 2**31 - 1), id="a size that overflows"),
        pytest.param(claims(0, 0), id="no pixels"),
        pytest.param(claims(100, 100), id="too little data"),
        pytest.param(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
            + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(3_000_000), 9)),
            id="a text that unfolds",
        ),
    ],
)
def test_repainted__refuses(content: bytes) -> None:
    assert repainted(content) is None

"""Somebody else's picture as one of ours: decoded within bounds, written anew, so that only its pixels are left."""

from __future__ import annotations

import io
import struct
import warnings

from PIL import Image

MAX_SIDE = 1000  # pixels of what is written

_MAX_BYTES = 400_000  # of it; what has more is made smaller
_MAX_PIXELS = 25_000_000  # of what is read
_SMALLEST = 200  # pixels of a side, below which no plot can be read
_GROUND = (255, 255, 255)


def repainted(content: bytes) -> bytes | None:
    """The same picture as a PNG of a bounded size on white ground; None where it is no PNG or JPEG, damaged or vast."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                if image.width * image.height > _MAX_PIXELS:
                    return None
                painted = _painted(image)
        except (OSError, ValueError, SyntaxError, ArithmeticError, EOFError, MemoryError, Warning, struct.error):
            return None
        except Image.DecompressionBombError:
            return None
    return _written(painted)


def _painted(image: Image.Image) -> Image.Image:
    """Its pixels, and nothing else of it."""
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    ground = Image.new("RGB", image.size, _GROUND)
    seen = image.convert("RGBA")
    ground.paste(seen, mask=seen.getchannel("A"))
    return ground


def _written(image: Image.Image) -> bytes | None:
    while True:
        buffer = io.BytesIO()
        image.save(buffer, format="PNG", optimize=True)
        if buffer.tell() <= _MAX_BYTES:
            return buffer.getvalue()
        if max(image.size) <= _SMALLEST:
            return None
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))

"""Pictures for tests, made here: each kind as small as it can be."""

from __future__ import annotations

import random
import struct
import zlib

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(20) + b"\xff\xd9"
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + bytes(6) + b";"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(24)
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(12)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4" fill="#2f81f7"/></svg>'


def png(seed: int = 0, size_bytes: int = 0) -> bytes:
    """Return a PNG of one row of noise, another for each seed, of about the size given."""
    noise = random.Random(seed)  # noqa: S311 -- a picture for a test
    width = max(4, size_bytes // 3)
    row = b"\0" + noise.randbytes(3 * width)
    header = struct.pack(">IIBBBBB", width, 1, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row, 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )

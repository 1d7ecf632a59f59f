"""Attacks by images, at the route that takes them."""

import io
import struct
import zlib
from pathlib import Path

import httpx

from benchmarks.attacks.attack import Row, Target, refused

PATH = "/v1/businesses/attacked/photos"
FIELD = "photos"  # in which a photo's id is its file's name


def images(target: Target) -> list[Row]:
    """Too many bytes, too many pixels for the bytes they have, what is no image, and names that are paths."""
    kinds = {
        "20 MB of noise": (b"\xff\xd8\xff" + b"\0" * 20_000_000, (413,)),
        "PNG bomb, 30,000 x 30,000 in some kB": (bomb(30_000, 30_000), (413, 422)),
        "PNG that says 2^31 - 1 x 2^31 - 1": (png(2**31 - 1, 2**31 - 1, b""), (415, 422)),
        "SVG with an entity": (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>', (415, 422)),
        "GIF": (b"GIF89a" + b"\0" * 20, (415, 422)),
        "half a JPEG": (jpeg()[:200], (415, 422)),
        "HTML as a JPEG": (b"<script>alert(1)</script>", (415, 422)),
        "no bytes": (b"", (415, 422)),
    }
    rows = []
    for what, (data, statuses) in kinds.items():
        answer = target.ask("PUT", PATH, files={FIELD: ("a.jpg", data, "image/jpeg")})
        rows.append(refused("hostile image", what, answer, *statuses))
    for name in ("../../a.jpg", "a\x00.jpg", "C:\\a.jpg"):
        answer = target.ask("PUT", PATH, files={FIELD: (name, jpeg(), "image/jpeg")})
        rows.append(Row("hostile image", f"named {name!r}", _got(answer), _is_harmless(target, answer)))
    many = [(FIELD, (f"{n}.jpg", jpeg(), "image/jpeg")) for n in range(5000)]
    rows.append(refused("hostile image", "5,000 at once", target.ask("PUT", PATH, files=many), 413, 422))
    target.ask("PUT", PATH, files={})  # takes back what was let in
    return rows


def _got(answer: httpx.Response) -> str:
    return f"{answer.status_code}: {answer.text[:100]}"


def _is_harmless(target: Target, answer: httpx.Response) -> bool:
    """Refused, or stored under that name as an id, never as a path."""
    return answer.status_code in (200, 422) and not any(Path(target.root).parent.glob("a.jpg"))


def png(width: int, height: int, data: bytes) -> bytes:
    """A grey PNG of this size, whatever its data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bomb(width: int, height: int) -> bytes:
    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    return png(width, height, b"".join(packer.compress(row) for _ in range(height)) + packer.flush())


def jpeg() -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 40, 40)).save(stream, "JPEG")
    return stream.getvalue()

"""Attacks by images, at the route that takes them; none where the service has no such route."""

import io
import struct
import zlib

from benchmarks.attack import Row, Target, refused

ROUTE = "/v1/businesses/{business_id}/photos"
PLACE = "attacked"


def images(target: Target) -> list[Row]:
    """Too many bytes, too many pixels for the bytes they have, and what is no image; each as the route's first file."""
    document = target.ask("GET", "/openapi.json").json()
    route = document["paths"].get(ROUTE, {}).get("put")
    if route is None:
        return [Row("hostile images", f"PUT {ROUTE}", "this service takes none", True)]
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
    path = ROUTE.format(business_id=PLACE)
    field = _field(document, route)
    rows = []
    for what, (data, statuses) in kinds.items():
        answer = target.ask("PUT", path, files={field: ("../../a.jpg", data, "image/jpeg")})
        rows.append(refused("hostile image", what, answer, *statuses))
    many = [(field, (f"{n}.jpg", jpeg(), "image/jpeg")) for n in range(5000)]
    return [*rows, refused("hostile image", "5,000 at once", target.ask("PUT", path, files=many), 413, 422)]


def _field(document: dict, route: dict) -> str:
    """The name of the form's field for files."""
    schema = route["requestBody"]["content"]["multipart/form-data"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return next(iter(schema["properties"]))


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

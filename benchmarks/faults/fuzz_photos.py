"""Mutated photos through the library: whatever the bytes, a row with a status; no exception but the library's own."""

import io
import random
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from showcases.errors import PhotoError
from showcases.gest.photos.fetch import STATUSES, fetch_unit
from showcases.gest.photos.sources import Raw, Take
from showcases.jpeg import take_to_show
from showcases.photos import to_pixels

BATCH = 100
MAX_PIXELS = 1_000_000
MODES = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "1", "P", "RGBA", "LA", "I;16"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "LAB", "I", "F", "I;16"),
    "GIF": ("P", "L"),
    "BMP": ("RGB", "L", "P"),
    "AVIF": ("RGB", "RGBA"),
}
# What no message may hold: an address in memory, a Python object or bytes as Python writes them.
REPR = re.compile(r"0x[0-9a-f]{6,}|<[\w.]+ object|<class|\bb'|\bb\"|Traceback|\\x[0-9a-f]{2}")

Mutation = Callable[[bytes, random.Random], bytes]


class Given:
    """A source that has these bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def rows(self, wanted: pa.Table, take: Take) -> list[dict[str, Any]]:
        return [take(name, Raw(self.files[name])) for name in wanted["photo_id"].to_pylist()]


def fuzz_photos(count: int, seed: int) -> dict[str, int]:
    """Send mutated photos through all ways to pixels.

    Returns:
        Photos by outcome: status, and format before it was mutated.

    Raises:
        AssertionError: a foreign exception, a photo without a row, a message that names a Python object, or one that
            differs the next time; `photo(seed, number)` makes the bytes again.
    """
    originals = bases()
    outcomes: Counter[str] = Counter()
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        made = {f"{seed}-{number}": photo(seed, number, originals) for number in numbers}
        rows = _rows({name: data for name, (_, data) in made.items()})
        for name, row in zip(made, rows, strict=True):
            _check(name, made[name][1], row)
            outcomes[f"{row['status']} ({made[name][0].split()[0]})"] += 1
        again = dict([next(iter(made.items()))])
        assert _rows({name: data for name, (_, data) in again.items()}) == rows[:1], (
            f"photo {start} differs the next time"
        )
    return dict(sorted(outcomes.items()))


def photo(seed: int, number: int, originals: dict[str, bytes]) -> tuple[str, bytes]:
    """What a mutated photo was made of, and its bytes."""
    rng = random.Random(f"{seed}:{number}")
    name = rng.choice(list(originals))
    data = originals[name]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        data = rng.choice(MUTATIONS)(data, rng)
    return name, data


def bases() -> dict[str, bytes]:
    """Whole photos of every format and mode, with EXIF where the format has it, by `FORMAT MODE`."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((48, 36), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 72.0
    exif.get_ifd(0x8825)[1] = "N"
    found = {}
    for kind, modes in MODES.items():
        options: dict[str, Any] = {"exif": exif} if kind not in ("GIF", "BMP") else {}
        for mode in modes:
            buffer = io.BytesIO()
            _in_mode(image, mode).save(buffer, kind, **options)
            found[f"{kind} {mode}"] = buffer.getvalue()
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        buffer = io.BytesIO()
        image.save(buffer, "TIFF", compression=compression)
        found[f"TIFF {compression}"] = buffer.getvalue()
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", progressive=True, exif=exif, comment=b"a comment")
    return found | {"JPEG progressive": buffer.getvalue()}


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.fromarray(np.asarray(image), "LAB")
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(image.convert("L"))
        form = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray(grey.astype(form) * form(200 if mode != "F" else 0.004))
    return image.convert(mode)


def _rows(files: dict[str, bytes]) -> list[dict[str, Any]]:
    wanted = pa.table({"photo_id": list(files), "url": pa.nulls(len(files), pa.string())})
    return fetch_unit(Given(files), wanted, max_side=24, max_pixels=MAX_PIXELS).rows


def _check(name: str, data: bytes, row: dict[str, Any]) -> None:
    """One row, and the other ways that a photo takes."""
    is_ok = row["status"] == "ok"
    assert row["photo_id"] == name and row["status"] in STATUSES, f"photo {name}: {row}"
    assert (row["bytes"] is not None) == is_ok == (row["error"] is None), f"photo {name}: {row}"
    if is_ok:
        assert min(row["width"], row["height"]) <= 24 and to_pixels(row["bytes"], 16).shape == (16, 16, 3)
    messages = [row["error"] or ""]
    try:
        take_to_show(data, MAX_PIXELS)
    except PhotoError as error:
        messages.append(str(error))
    for message in messages:
        assert not REPR.search(message), f"photo {name}: {message}"


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _flip_head(data: bytes, rng: random.Random) -> bytes:
    return _flip(data[:200], rng) + data[200:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 4, 100)) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.choice((rng.randbytes(9), bytes(50), b"\xff" * 20, b"II*\0", data[:40])) + data[start:]


def _number(data: bytes, rng: random.Random) -> bytes:
    """An extreme number at a random place: sizes, offsets, counts."""
    start = rng.randrange(len(data) + 1)
    value = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**16, 30_000))
    return data[:start] + struct.pack(rng.choice("<>") + "I", value) + data[start + 4 :]


def _exif(data: bytes, rng: random.Random) -> bytes:
    """Random entries of an EXIF directory, in place of the one there or, for a PNG or JPEG, of their own."""
    order = rng.choice("<>")
    entries = b"".join(
        struct.pack(
            order + "HHII",
            rng.choice((0x0112, 0x011A, 0x0128, 0x8769, 0x8825, 0x927C, 0x9286, rng.randrange(65536))),
            rng.randrange(15),
            rng.choice((0, 1, 2, 1000, 2**32 - 1)),
            rng.choice((0, 6, 8, 26, rng.randrange(2**32))),
        )
        for _ in range(rng.randrange(6))
    )
    block = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, rng.choice((0, 1, 5, 60_000)))
    block += entries + rng.randbytes(rng.randrange(30))
    if data.startswith(b"\xff\xd8"):
        content = b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]
    if data.startswith(b"\x89PNG"):
        return data[:33] + _chunk(b"eXIf", block, rng) + data[33:]
    place = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    return data if place < 8 else data[:place] + block[: len(data) - place] + data[place + len(block) :]


def _chunk(name: bytes, content: bytes, rng: random.Random) -> bytes:
    crc = zlib.crc32(name + content) if rng.random() < 0.5 else rng.randrange(2**32)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def _pieces(data: bytes, rng: random.Random) -> bytes:
    """A chunk of a PNG more, or some of its chunks in another order; of others a piece put elsewhere."""
    if data.startswith(b"\x89PNG") and rng.random() < 0.6:
        name = rng.choice(
            (b"tRNS", b"PLTE", b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"acTL", b"fcTL", b"fdAT", b"IDAT")
        )
        content = rng.choice((b"", bytes(6), rng.randbytes(30), b"a\0\0" + zlib.compress(bytes(2000))))
        return data[:33] + _chunk(name, content, rng) + data[33:]
    first, second, third = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


def _recompressed(data: bytes, rng: random.Random) -> bytes:
    """A PNG's pixels broken, with right checksums; its mode and depth another."""
    if not data.startswith(b"\x89PNG"):
        return _flip(data, rng)
    depth, color = rng.choice((1, 2, 4, 8, 16)), rng.choice((0, 2, 3, 4, 6))
    head = data[16:24] + bytes((depth, color, 0, 0, rng.randrange(2)))
    rows = zlib.compress(rng.randbytes(rng.choice((10, 5000, 30_000))))
    parts = _chunk(b"IHDR", head, random.Random(1)), _chunk(b"IDAT", rows, random.Random(1))
    return data[:8] + parts[0] + data[33:-12] + parts[1] + data[-12:]


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _flip_head, _flip_head, _cut, _drop, _insert, _number, _number, _exif, _exif, _pieces, _recompressed,
)  # fmt: skip

"""Detect file types by magic bytes, for messages and for choosing a decoder."""

import json

PHOTO_KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # with 64-bit offsets
    (b"MM\0+", "TIFF"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"BZh", "bzip2-compressed data"),
    (b"\xfd7zXZ\0", "xz-compressed data"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"8BPS", "a Photoshop document"),
    (b"PAR1", "a Parquet file"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif"), "a HEIC photo"
)
_CONTAINERS = {b"WEBP": "WEBP", b"AVI ": "an AVI video", b"WAVE": "a sound (WAV)"}
_TEXT = bytes(range(32, 127)) + b"\t\n\r\f"


def kind_of(data: bytes) -> str:
    """One of PHOTO_KINDS, or a description of another type with its article."""
    if not data:
        return "an empty file (0 bytes)"
    for start, name in _STARTS:
        if data.startswith(start):
            return name
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return "BMP"
    if data[:4] == b"RIFF":
        return _CONTAINERS.get(data[8:12], "a RIFF file of another kind")
    if data[4:8] == b"ftyp":
        return _media(data)
    return _text(data)


def _media(data: bytes) -> str:
    """Type of an ISO media file, by its brands: AVIF, HEIC, or a video."""
    brands = data[8 : max(12, min(int.from_bytes(data[:4], "big"), 256))]
    for place in (0, *range(8, len(brands), 4)):
        if found := _BRANDS.get(brands[place : place + 4]):
            return found
    return "a video (MP4 or QuickTime)"


def _text(data: bytes) -> str:
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in head:
        return "an HTML page"
    if b"<svg" in head:
        return "an SVG drawing"
    if head.startswith(b"<?xml"):
        return "an XML document"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer"
    if head.startswith((b"{", b"[")) and _is_json(data):
        return "JSON"
    if not any(data):
        return f"{len(data)} zero bytes"
    if not data[:1024].translate(None, _TEXT):
        return "text"
    return f"a file of a kind that isn't known (it begins with the bytes {data[:8].hex(' ')})"


def _is_json(data: bytes) -> bool:
    if len(data) > 1_000_000:
        return True
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True

"""Bytes that are no photo are named as what they are, in the same words each time."""

import gzip
import io
import zipfile

import pytest
from PIL import Image

from showcases.photo_files.kinds import kind_of
from showcases.photos import FORMATS, PhotoError, take_in, to_pixels


def saved(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, kind)
    return buffer.getvalue()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"x")
    return buffer.getvalue()


OTHERS = {
    "an empty file": b"",
    "an HTML page": b"\n <!DOCTYPE HTML PUBLIC ...><title>Sign in</title>",
    "HTML page": b'\xef\xbb\xbf<html lang="de">',
    "an HTML": b"<!-- cached --><head></head><html>",
    "an SVG drawing": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "an XML document": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "JSON": b'{"error": "no such photo"}',
    "gzip-compressed data": gzip.compress(saved("JPEG")),
    "a zip archive": zipped(),
    "a PDF document": b"%PDF-1.7\n",
    "a HEIC photo": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
    "HEIC photo": b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100),
    "a video": b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + bytes(100),
    "a JPEG XL image": b"\xff\x0a" + bytes(100),
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "text": b"rate limit exceeded",
    "200 zero bytes": bytes(200),
    "isn't known (it begins with the bytes 01 02 ff)": b"\1\2\xff",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_photo_is_named(name: str) -> None:
    for way in (lambda: take_in(OTHERS[name], 256), lambda: to_pixels(OTHERS[name], 64)):
        with pytest.raises(PhotoError) as caught:
            way()
        text = str(caught.value)
        assert text.startswith("not an image: ") and name in text and "JPEG, PNG" in text
        assert " at 0x" not in text and "BytesIO" not in text and "b'" not in text


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_known_by_its_bytes_and_broken_ones_are_named(kind: str) -> None:
    data = saved(kind)
    assert kind_of(data) == kind and take_in(data, 256).width == 8
    with pytest.raises(PhotoError, match=rf"{kind} file that is (damaged|cut off)") as caught:
        take_in(data[:40], 256)
    assert " at 0x" not in str(caught.value)

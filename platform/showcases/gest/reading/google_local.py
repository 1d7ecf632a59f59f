"""Convert rows of McAuley's Google Local 2021 release, which has other field names and bare photo URLs."""

from collections.abc import Iterator
from typing import Any


def is_google_local(row: dict[str, Any]) -> bool:
    """Whether the row has that release's field names."""
    return "gmap_id" in row and "business_id" not in row


def as_gest(row: dict[str, Any]) -> dict[str, Any]:
    """The row with GEST-raw's fields; `parse_record` reports missing and wrongly typed ones."""
    names = {"gmap_id": "business_id", "text": "review_text"}
    renamed = {names.get(name, name): value for name, value in row.items()}
    if isinstance(row.get("pics"), list):
        renamed["pics"] = list(_pics(row["pics"]))
    return renamed


def _pics(pics: list[Any]) -> Iterator[Any]:
    """One pic per URL, because an entry may have several photos."""
    for pic in pics:
        urls = pic.get("url") if isinstance(pic, dict) and "id" not in pic else None
        if isinstance(urls, str):
            urls = [urls]
        if not isinstance(urls, list):
            yield pic
            continue
        for url in urls:
            yield {"id": photo_id(url), "url": url} if isinstance(url, str) else {"url": url}


def photo_id(url: str) -> str:
    """`AF1Qip…` of `https://lh5.googleusercontent.com/p/AF1Qip…=w150-h150-k-no-p`."""
    return url.rpartition("/")[2].partition("=")[0]

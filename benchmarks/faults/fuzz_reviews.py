"""Mutated review lines, files of them and label exports through the library: no error but its own, no line lost.

A line is a good review (GEST-raw's form or Google Local 2021's) with one to three mutations of its fields, its JSON or
its bytes. Lines go through `read_raw` a file at a time, plain or gzip, cut into blocks; each is then a review, a
reject, blank, or left out by a rule of the paper.
"""

import copy
import gzip
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from showcases.errors import ShowcasesError
from showcases.gest.config import IngestConfig
from showcases.gest.reading.official import Corpus, read_raw
from showcases.gest.reading.rejects import Reason

LINES = 500  # a file
WORDS = ("the", "ramen", "was", "rich", "and", "parking", "easy", "but", "waiter", "forgot", "our", "soup", "we", "so")
PHOTO_REASONS = (Reason.UNUSABLE_PHOTO, Reason.UNUSABLE_HISTORY, Reason.AMBIGUOUS_HISTORY)
# Values that stand in for any field's.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63, 10**400, 1.5, 1e308, float("nan"), float("inf"), float("-inf"), "", " ", "\u3000",
    "\0", "\n", "\u2028", "\ufeff", "\u202e", "\ud83d", "\udc80", "\U0010ffff", "a_b", "%", "%5F", "_", ":", "../../x",
    "x" * 300, [], [None], [[]], {}, {"id": {}}, {"": ""}, ["p", 7, {"url": 3}], "é" * 40, "味" * 10, "อร่อย",
)  # fmt: skip
TEXTS = (
    "{}\n{}", "{}。{}", "(Translated by Google) {} (Original) {}", "(Original) {} (Translated by Google) {}", "{}\r{}",
    "{} \U0001f35c {}", "<b>{}</b> & {}", "{}" + "!" * 999 + "{}", "\u200b{}\u0301\u0301{}", "{}\u0000{}", "{} {}",
)  # fmt: skip
Mutation = Callable[[random.Random, dict[str, Any]], None]


def good_row(draw: random.Random) -> dict[str, Any]:
    """A review that nothing is wrong with."""
    text = draw.choice(TEXTS[:6]).format(*(" ".join(draw.choices(WORDS, k=draw.randrange(12))) for _ in range(2)))
    photo = f"AF1QipN{draw.randrange(10**12)}"
    url = f"https://lh5.googleusercontent.com/p/{photo}=w150-h150-k-no-p"
    user, business = draw.randrange(10**20, 10**21), f"{draw.randrange(16**24):024x}"
    if draw.random() < 0.2:
        pics = [{"url": [url]}]
        return {"user_id": user, "gmap_id": business, "rating": draw.randrange(1, 6), "text": text, "pics": pics}
    fields = {"user_id": str(user), "business_id": business, "rating": draw.randrange(1, 6), "review_text": text}
    return fields | {"pics": [{"id": photo, "url": [url]}, f"{photo}b"][: draw.randrange(3)]}


def replace_value(draw: random.Random, row: dict[str, Any]) -> None:
    row[draw.choice(list(row) or ["x"])] = copy.deepcopy(draw.choice(VALUES))


def drop_field(draw: random.Random, row: dict[str, Any]) -> None:
    row.pop(draw.choice(list(row) or ["x"]), None)


def rename_field(draw: random.Random, row: dict[str, Any]) -> None:
    name = draw.choice(list(row) or ["x"])
    row[draw.choice([name.upper(), f"{name} ", "business_id", "gmap_id", "", "\ud83d"])] = row.pop(name, None)


def change_pics(draw: random.Random, row: dict[str, Any]) -> None:
    pics = row.get("pics")
    odd = [copy.deepcopy(draw.choice(VALUES)) for _ in range(draw.randrange(1, 4))]
    row["pics"] = [
        *(pics if isinstance(pics, list) else []),
        *odd,
        {"id": draw.choice(VALUES), "url": draw.choice(VALUES)},
    ]


def change_text(draw: random.Random, row: dict[str, Any]) -> None:
    name = "text" if "gmap_id" in row else "review_text"
    row[name] = draw.choice(TEXTS).format(*draw.choices([str(value) for value in VALUES[:40] if value != 10**400], k=2))


def nest(draw: random.Random, row: dict[str, Any]) -> None:
    value: Any = draw.choice(VALUES)
    for _ in range(draw.choice([2, 50, 400])):
        value = [value] if draw.random() < 0.5 else {"id": value}
    row[draw.choice(["pics", "rating", "user_id", "more"])] = value


def repeat_ids(draw: random.Random, row: dict[str, Any]) -> None:
    row |= {"user_id": draw.choice(["a", "a_b", "a%5Fb"]), "business_id": draw.choice(["c", "b_c", "5Fb_c"])}


ROW_MUTATIONS: tuple[Mutation, ...] = (
    replace_value, replace_value, drop_field, rename_field, change_pics, change_text, nest, repeat_ids,
)  # fmt: skip


def to_json(draw: random.Random, row: dict[str, Any]) -> bytes:
    """The row as a line, now and then with a key twice, other blanks, or pretty-printed brackets."""
    text = json.dumps(row, ensure_ascii=draw.random() < 0.5, separators=draw.choice([None, (",", ":")]))
    kind = draw.random()
    if kind < 0.05 and row:
        name = draw.choice(list(row))
        text = text[:-1] + "," + json.dumps(name) + ":" + json.dumps(draw.choice(VALUES)) + "}"  # a key twice
    elif kind < 0.07:
        text = text.replace('"', "'")
    elif kind < 0.09:
        text = "[" * draw.choice([1, 5000]) + text
    elif kind < 0.11:
        text = text.replace("1", "9" * draw.choice([3, 5000]), 1)
    return text.encode("utf-8", "surrogatepass")


def change_bytes(draw: random.Random, line: bytes) -> bytes:
    """Bytes flipped, cut out, cut off, doubled or inserted; another encoding."""
    if not line:
        return line
    place, end = draw.randrange(len(line)), draw.randrange(len(line) + 1)
    kind = draw.randrange(8)
    if kind == 0:
        return line[:place]
    if kind == 1:
        return line[:place] + bytes([draw.randrange(256)]) + line[place + 1 :]
    if kind == 2:
        return line[:place] + line[max(place, end) :]
    if kind == 3:
        return line[:place] + draw.randbytes(draw.randrange(1, 9)) + line[place:]
    if kind == 4:
        return line + line[place:]
    if kind == 5:
        return line.decode("utf-8", "replace").encode(draw.choice(["utf-16", "utf-8-sig", "utf-32"]))
    if kind == 6:
        return draw.choice([b"", b"  ", b"\r", b"\t", b"null", b"{}", b"[]", b"0", b"\0" * 9, b"\xef\xbb\xbf"])
    return line.decode("utf-8", "replace").encode("latin-1", "replace")


def mutated_line(draw: random.Random) -> bytes:
    """A line, without an end; it may hold some, which make more lines of it."""
    row = good_row(draw)
    kind = draw.random()
    if kind < 0.1:
        return to_json(random.Random(0), row)  # as it is
    if kind < 0.8:
        for _ in range(draw.randrange(1, 4)):
            draw.choice(ROW_MUTATIONS)(draw, row)
    line = to_json(draw, row)
    return change_bytes(draw, line) if kind > 0.65 else line


def fuzz_reviews(count: int, seed: int) -> dict[str, int]:
    """Put mutated lines through the library, `LINES` a file.

    Args:
        count: of lines that are made; a mutation with a line's end in it makes more of one.
        seed: of all that is random.

    Returns:
        Counts: `lines`, and what became of each (`kept`, `blank`, `left out: RULE`, `rejected: REASON`, `in a file that
        was refused`); `files refused`; and `unusable photos`, each of which cost a review that photo alone.

    Raises:
        AssertionError: a line is in no count or in two, or the tables don't agree with the counts.
        Exception: the library raised something else than a ShowcasesError.
    """
    draw = random.Random(seed)
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, count, LINES):
            lines = [mutated_line(draw) for _ in range(min(LINES, count - start))]
            data = b"\n".join(lines)
            path = Path(folder) / "reviews.json"
            path.write_bytes(gzip.compress(data, 1) if draw.random() < 0.3 else data)
            config = IngestConfig(block_kb=draw.choice([1, 16, 512]), max_line_kb=draw.choice([8, 1024]))
            totals += _outcome(path, data, config)
    assert totals["lines"] == sum(
        n for name, n in totals.items() if name not in ("lines", "unusable photos", "files refused")
    )
    return dict(totals)


def _outcome(path: Path, data: bytes, config: IngestConfig) -> Counter[str]:
    """What became of the lines of one file."""
    lines = data.removesuffix(b"\n").split(b"\n")
    try:
        corpus = read_raw(path, config, seed=0)
    except ShowcasesError:
        return Counter({"lines": len(lines), "files refused": 1, "in a file that was refused": len(lines)})
    blank = sum(not line.removeprefix(b"\xef\xbb\xbf").strip() for line in lines)
    found = Counter({"lines": len(lines), "kept": corpus.reviews.num_rows, "blank": blank})
    found += _left_out(corpus)
    _check_tables(corpus, data, found)
    return found


def _left_out(corpus: Corpus) -> Counter[str]:
    counts = dict(corpus.left_out)
    counts.pop("photo of an earlier review", None)
    found = Counter({"unusable photos": counts.pop(str(Reason.UNUSABLE_PHOTO), 0)})
    reasons = {str(reason) for reason in Reason}
    for name, count in counts.items():
        found[f"{'rejected' if name in reasons else 'left out'}: {name}"] += count
    return found


def _check_tables(corpus: Corpus, data: bytes, found: Counter[str]) -> None:
    """Tables and counts agree, ids are unique, every reject lies where it says."""
    rejects = corpus.rejects.to_pylist()
    whole = [reject for reject in rejects if reject["reason"] not in PHOTO_REASONS]
    assert len(whole) == sum(n for name, n in found.items() if name.startswith("rejected"))
    for reject in rejects:
        raw, offset = reject["raw"], reject["offset"]  # or three bytes on, after a byte order mark
        assert raw in (data[offset : offset + len(raw)], data[offset + 3 : offset + 3 + len(raw)]), reject
        assert reject["detail"] and "object at 0x" not in reject["detail"]
    names = corpus.reviews["review_id"].to_pylist()
    assert len(set(names)) == len(names)
    photos = corpus.photos["photo_id"].to_pylist()
    shown = [name for names in corpus.reviews["photo_ids"].to_pylist() for name in names]
    assert len(set(photos)) == len(photos) and sorted(photos) == sorted(shown)

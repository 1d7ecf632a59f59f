"""Input files by name, pattern and s3:// address; the outer forms that every reader takes, and what the others say."""

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from showcases.distillation.labelstudio import check_labels, read_exports
from showcases.errors import CorpusError, ObjectStoreError
from showcases.gest.config import IngestConfig
from showcases.gest.reading.filtered import read_filtered
from showcases.gest.reading.input_check import check_reviews, check_s2
from showcases.gest.reading.official import Corpus, read_raw
from showcases.gest.reading.opening import file_digest, find_files, open_input

if TYPE_CHECKING:
    from tests.conftest import S3Server

TEXT = "The ramen was rich. Parking was easy."


def review(number: int, **changes: object) -> dict[str, object]:
    fields = {"business_id": f"b{number % 3}", "user_id": f"u{number}", "rating": 4, "review_text": TEXT}
    return fields | {"pics": [f"p{number}"]} | changes


def lines(*numbers: int) -> bytes:
    return b"".join(json.dumps(review(number)).encode() + b"\n" for number in numbers)


def s2(*numbers: int) -> bytes:
    return json.dumps({"train": [review(number) for number in numbers], "val": [], "test": []}).encode()


def labels(*numbers: int) -> bytes:
    answer = {"result": [{"type": "choices", "from_name": "match", "value": {"choices": ["match"]}}]}
    pairs = [{"review_id": f"u{n}_b", "sentence": "Good.", "photo_id": f"p{n}"} for n in numbers]
    return json.dumps([{"data": pair, "annotations": [answer | {"completed_by": 1}]} for pair in pairs]).encode()


def read(given: object) -> Corpus:
    return read_raw(given, IngestConfig(block_kb=1), seed=0)  # type: ignore[arg-type]


def rows_of(kind: str, given: list[Path]) -> list[str]:
    """What a reader finds in the files: a photo's id each."""
    if kind == "raw":
        return read(given).photos["photo_id"].to_pylist()
    if kind == "s2":
        return [row.record.pics[0][0] for row in read_filtered(check_s2(given), rejected)]
    return [pair.photo_id for pair in read_exports(check_labels(given))[0]]


def rejected(row: object) -> None:
    raise AssertionError(row)


OUTER = {
    "plain": lambda data: data,
    "mark": lambda data: b"\xef\xbb\xbf" + data,
    "gzip": gzip.compress,
    "mark in gzip": lambda data: gzip.compress(b"\xef\xbb\xbf" + data),
    "gzip of two members": lambda data: gzip.compress(data[:40]) + gzip.compress(data[40:]),
}


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize(("kind", "make"), [("raw", lines), ("s2", s2), ("labels", labels)])
def test_every_reader_takes_every_outer_form_and_several_files(tmp_path: Path, kind: str, make, outer: str) -> None:
    for name, numbers in (("part-2", (4, 5)), ("part-1", (1, 2, 3))):
        (tmp_path / name).write_bytes(OUTER[outer](make(*numbers)))
    assert rows_of(kind, [tmp_path / "part-2"]) == ["p4", "p5"]
    assert rows_of(kind, [tmp_path / "part-*"]) == ["p1", "p2", "p3", "p4", "p5"]
    assert rows_of(kind, [tmp_path / "part-2", tmp_path / "part-[12]"]) == ["p4", "p5", "p1", "p2", "p3"]


def test_places_are_those_in_the_file_behind_a_mark_too(tmp_path: Path) -> None:
    bad = b'{"user_id": 1}'
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + bad + b"\n" + lines(1, 2) + bad)
    corpus = read([tmp_path / "a.json", tmp_path / "b.json"])
    broken = [row for row in corpus.rejects.to_pylist() if row["reason"] == "missing field"]
    assert [(Path(row["file"]).name, row["line"]) for row in broken] == [
        ("a.json", 1), ("a.json", 4), ("b.json", 1), ("b.json", 4)
    ]  # fmt: skip
    for row in broken:
        assert Path(row["file"]).read_bytes()[row["offset"] :].startswith(row["raw"])
    assert corpus.reviews["user_id"].to_pylist() == ["u1", "u2"]  # the second file repeats them


def test_files_with_marks_that_were_joined_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "joined.json"
    path.write_bytes(b"\xef\xbb\xbf" + lines(1) + b"\xef\xbb\xbf" + lines(2))
    assert read(path).reviews["user_id"].to_pylist() == ["u1", "u2"]


def archive(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("reviews.json")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("reviews.json", data)
    return buffer.getvalue()


def parquet(data: bytes) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in data.splitlines()]), buffer)
    return buffer.getvalue().to_pybytes()


NOT_READ = [
    (bz2.compress, "a bzip2 file; .*bunzip2"),
    (lzma.compress, "an xz file; .*unxz"),
    (lambda data: pa.compress(data, codec="zstd", asbytes=True), "a Zstandard file; .*unzstd"),
    (zipped, "a zip file; .*unzip"),
    (archive, "a tar archive; .*tar -xf"),
    (lambda data: gzip.compress(archive(data)), "a tar archive; .*tar -xf"),
    (lambda data: gzip.compress(gzip.compress(data)), "gzip twice; .*gunzip"),
    (lambda data: gzip.compress(parquet(data)), "a Parquet file; .*COPY"),
    (parquet, "a Parquet file; .*COPY"),
    (lambda data: data.decode().encode("utf-16"), "UTF-16 text; .*iconv"),
    (lambda data: data.decode().encode("utf-16-le"), "UTF-16 text; .*iconv"),
    (lambda data: b"\n<!DOCTYPE html><html>Sign in</html>", "an HTML page .*download"),
    (lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
    (lambda data: gzip.compress(data)[:-20], "damaged after .*fetch the file again"),
]


@pytest.mark.parametrize(("make", "message"), NOT_READ)
@pytest.mark.parametrize("check", [check_reviews, check_s2, check_labels])
def test_a_format_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, make, message: str, check) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(make(lines(*range(30))))
    with pytest.raises(CorpusError, match=f"{path}: .*{message}"):
        check(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"user_id,business_id,rating\nu,b,5\n", "looks like CSV .*`user_id,business_id,rating`.*docs/own-data.md"),
        (json.dumps([review(1)]).encode(), "one JSON list; .*jq -c '.\\[\\]'"),
        (json.dumps(review(1), indent=1).encode(), "span several lines; .*jq -c"),
        (s2(1, 2), "GEST-s2 .*jobs.import_s2"),
        (s2(*range(5000)), "GEST-s2 .*jobs.import_s2"),
        (
            b'{"user_id": "u", "stars": 3}\n' * 200,
            "none of the first 100 lines is a review; line 1: missing field: business_id, review_text, pics "
            "\\(found: user_id, stars\\); expected .*docs/own-data.md",
        ),
        (b"hello\n", "no review in it; line 1: not JSON"),
    ],
)
def test_the_head_of_a_file_tells_that_it_has_no_reviews(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=message):
        check_reviews(path)
    with pytest.raises(CorpusError, match=message):
        read(path)


def test_bad_lines_at_the_head_and_an_empty_part_are_no_reason_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"{}\n" * 50 + lines(1))
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "c").write_bytes(json.dumps(review(1, review_text="x" * 300_000)).encode())  # longer than what is read
    assert check_reviews(str(tmp_path / "[abc]")) == [str(tmp_path / name) for name in "abc"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "byte 0: .*image_review_all.json goes to jobs.ingest"),
        (lines(1, 2), "found `business_id` where .*jobs.ingest"),
        (s2(), "no row in it"),
        (json.dumps({"train": [{"user_id": "u"}] * 3}).encode(), "none of the first 3 rows .* row 1: missing field: "),
        (json.dumps({"train": [{"user_id": "u"}] * 300}).encode(), "none of the first 100 rows"),
    ],
)
def test_the_head_of_a_file_tells_that_it_is_no_s2(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=message):
        check_s2(path)


def test_names_are_resolved_once_and_in_a_stable_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["b.json", "a.json", "odd[1].json", "deep/er/c.json"]
    for name in random.Random(0).sample(names, len(names)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_files("*.json") == ["a.json", "b.json", "odd[1].json"]
    assert find_files(["b.json", "*.json"]) == ["b.json", "a.json", "odd[1].json"]
    assert find_files("**/*.json") == sorted(names)
    assert find_files("odd[1].json") == ["odd[1].json"]  # a file of that very name
    for given, message in [
        ("absent.json", "no such file"),
        ("absent-*.json", "no file matches"),
        ("deep", "a folder; .*deep/\\*.json"),
        ("https://host/reviews.json", "download it first"),
        ("/dev/null", "not a regular file"),
        ("x" * 5000, "no such file"),
        ("a\0b", "no such file"),
        ([], "no input file"),
    ]:
        with pytest.raises(CorpusError, match=message):
            find_files(given)


def test_s3_addresses_work_as_files_do(s3_server: "S3Server", tmp_path: Path) -> None:
    import boto3

    client = boto3.client("s3", endpoint_url=s3_server.endpoint)
    client.create_bucket(Bucket="inputs")
    many = lines(*range(4000))
    objects = {
        "in/part-1.json": many,
        "in/part-2.json.gz": gzip.compress(lines(*range(4000, 4050))),
        "in/x/part-3": b"no",
    }
    for key, data in objects.items():
        client.put_object(Bucket="inputs", Key=key, Body=data)
    client.put_object(Bucket="inputs", Key="labels.json", Body=labels(7))
    options = f"?endpoint_override={s3_server.endpoint}&region=us-east-1"
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_bytes(many if name == "one.json" else lines(*range(4000, 4050)))
    local = read([tmp_path / "one.json", tmp_path / "two.json"])
    remote = read(f"s3://inputs/in/part-*{options}")
    assert remote.reviews.equals(local.reviews) and remote.photos.equals(local.photos)
    assert remote.reviews.num_rows == 4050
    assert file_digest(f"s3://inputs/in/part-1.json{options}") == file_digest(str(tmp_path / "one.json"))
    secret = f"s3://testing:testing@inputs/labels.json{options}"
    with open_input(secret) as file:
        assert (file.name, file.size) == ("s3://inputs/labels.json", len(labels(7)))
    assert check_labels(secret) == [secret]
    for name, kind, message in [
        (f"s3://inputs/absent.json{options}", CorpusError, "s3://inputs/absent.json: no such file$"),
        (f"s3://inputs/no-*.json{options}", CorpusError, "s3://inputs/no-\\*.json: no object matches"),
        (f"s3://no-such-bucket/x.json{options}", ObjectStoreError, "bucket no-such-bucket does not exist"),
    ]:
        with pytest.raises(kind, match=message):
            check_reviews(name)

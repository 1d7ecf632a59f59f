"""The proxy itself: a test through one that spoils nothing, or everything alike, would show nothing."""

import http.client
import os
from urllib.parse import urlsplit

import boto3
import pytest

from tests.faulty_proxy import FaultyProxy


def get(proxy: FaultyProxy, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_the_proxy_passes_all_bytes_and_every_kind_of_fault_happens(proxy: FaultyProxy, s3_bucket: str) -> None:
    client = boto3.client("s3", endpoint_url=proxy.endpoint)  # sends its body in chunks, when told to continue
    data = os.urandom(300_000)
    client.put_object(Bucket=s3_bucket, Key="proxy/random.bin", Body=data)
    signed = urlsplit(client.generate_presigned_url("get_object", {"Bucket": s3_bucket, "Key": "proxy/random.bin"}))
    path = f"{signed.path}?{signed.query}"
    assert get(proxy, path) == (200, data)
    for kind, status, code in (("500", 500, b"InternalError"), ("503", 503, b"SlowDown"), ("expired", 400, b"Expired")):
        proxy.spoil({kind: 1.0})
        found, body = get(proxy, path)
        assert found == status and code in body
        assert proxy.injected == {kind: 1}
    for kind, error in (
        ("reset", ConnectionError),
        ("lost", ConnectionError),
        ("truncated", http.client.IncompleteRead),
    ):
        proxy.spoil({kind: 1.0})
        with pytest.raises(error):
            get(proxy, path)
        assert proxy.injected == {kind: 1}
    proxy.spoil({"GET stall": 1.0}, limit=1)
    assert get(proxy, path) == get(proxy, path) == (200, data)
    assert proxy.injected == {"stall": 1} and proxy.requests == {"GET": 2}


def test_rates_hold_by_kind_and_method(proxy: FaultyProxy) -> None:
    proxy.spoil({"503": 0.1, "PUT 503": 0.0, "truncated": 0.05})
    drawn = [proxy.draw("GET", "/a")[0] for _ in range(4000)]
    assert 300 < drawn.count("503") < 500 and 130 < drawn.count("truncated") < 280
    assert {proxy.draw("PUT", "/a")[0] for _ in range(300)} == {None, "truncated"}
    proxy.spoil({"503": 1.0}, target=r"\.parquet")
    assert [proxy.draw("GET", path)[0] for path in ("/a.json", "/a.parquet")] == [None, "503"]

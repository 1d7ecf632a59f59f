"""No secret in any log record or answer, whichever logger wrote it; every record names its request."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.logging import AccessFormatter

from serve_apps.access.config import AccessConfig
from serve_apps.observability import logs
from tests.serve.access.helpers import SECRETLIKE, ask, create, make_api, request


@pytest.fixture(autouse=True, scope="module")
def masked(records_as_before: None) -> None:
    logs.install()
    logs.install()  # the second does nothing


class Captured(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(http_request_id)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record) + repr({**vars(record)}))


@pytest.fixture
def captured() -> Iterator[Captured]:
    """Of loggers that do not pass their records on, too."""
    handler, names = Captured(), ("", "ray.serve", "uvicorn.access", "elsewhere.deep")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield handler
    for name in names:
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).setLevel(levels[name])


SECRET = SECRETLIKE.split("_")[2]


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (f"got {SECRETLIKE}", ()),
        ("got %s", (SECRETLIKE,)),
        ("got %(key)s", ({"key": SECRETLIKE},)),
        ("headers %r", ([(b"authorization", f"Bearer {SECRETLIKE}".encode())],)),
        ("headers %r", ({"Authorization": f"Bearer {SECRET}"},)),
        (f"Authorization: Basic {SECRET}==", ()),
        (f"curl -H 'authorization: {SECRET}' url", ()),
        (f"bearer {SECRET}", ()),
        ('%s - "%s %s HTTP/%s" %d', ("127.0.0.1", "GET", f"/v1/users?query={SECRET}&limit=2", "1.1", 200)),
        (f"scope query_string=b'{SECRET}' path=/", ()),
        (f"scope {{'query_string': b'{SECRET}'}}", ()),
        (f"cut {SECRETLIKE[:30]}", ()),
        (f"%d {SECRETLIKE}", ("no number",)),
    ],
)
def test_every_form_of_a_secret_is_masked(captured: Captured, message: str, args: tuple) -> None:
    for name in ("", "ray.serve", "uvicorn.access", "elsewhere.deep"):
        logging.getLogger(name).warning(message, *args)
    assert len(captured.lines) >= 4 and all(logs.MASK in line for line in captured.lines)
    assert not any(SECRET[:8] in line for line in captured.lines), captured.lines


def test_uvicorns_own_format_still_fits() -> None:
    """It takes the arguments apart, and would print the whole request into the log if they were gone."""
    args = ("127.0.0.1:1", "GET", f"/v1/users?query=me&key={SECRETLIKE}", "1.1", 200)
    factory = logging.getLogRecordFactory()
    record = factory("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', args, None)
    line = AccessFormatter("%(client_addr)s %(request_line)s %(status_code)s", use_colors=False).format(record)
    assert line == "127.0.0.1:1 GET /v1/users?[masked] HTTP/1.1 200 OK"


def test_what_is_no_secret_stays() -> None:
    for text in (
        "key 0123456789ab refused",
        "what? nothing = nothing",
        "GET /v1/users 200 3ms",
        "is it? yes",
        "a bearer of news",
    ):
        assert logs.mask(text) == text
    assert logs.mask("sc_0123456789ab_secret") == "sc_0123456789ab_[masked]"


def test_stack_traces_are_masked_and_leave_the_service_in_no_form(captured: Captured) -> None:
    [answer] = ask(make_api(AccessConfig()), request(SECRETLIKE, "GET", "/v1/broken", headers={"x-request-id": "r-1"}))
    assert answer.status_code == 500 and answer.json()["request_id"] == "r-1"
    assert "Traceback" not in answer.text and "no luck" not in answer.text and SECRET not in answer.text
    logged = "".join(captured.lines)
    assert "RuntimeError: no luck with sc_0123456789ab_[masked]" in logged and SECRET[:8] not in logged
    assert any(line.startswith("r-1 ") for line in captured.lines)


def test_no_path_logs_a_key(tmp_path: Path, capsys, captured: Captured) -> None:
    token = create(tmp_path, capsys, "--rate", "0.001", "--burst", "4", "--scopes", "read,write")
    api = make_api(AccessConfig(keys=str(tmp_path)))
    requests = [
        request(token, "GET", f"/v1/photos/p?key={token}"),
        request(token, "GET", "/v1/broken"),
        request(token, "GET", "/v1/sleeps", headers={"prefer": "wait=0.02"}),
        request(token, "POST", "/v1/showcases", content=token, headers={"content-type": "application/json"}),
        request(token, "GET", "/v1/photos/p"),
        request(token, "DELETE", "/v1/users/u"),
        request(token + "x", "GET", "/v1/photos/p"),
        request(token, "GET", "/v1/photos/" + "p" * 5000),
    ]
    answers = ask(api, *requests)
    assert [answer.status_code for answer in answers] == [200, 500, 504, 422, 429, 403, 401, 414]
    pieces = [token.split("_")[2][start : start + 8] for start in range(30)]
    everything = "".join(captured.lines) + "".join(answer.text + str(answer.headers) for answer in answers)
    assert not any(piece in everything for piece in pieces)
    assert f"key {token.split('_')[1]}, refused: 429" in everything


def test_records_of_two_requests_at_once_keep_their_ids(captured: Captured) -> None:
    async def one(name: str) -> None:
        with logs.request(name):
            for _ in range(3):
                await asyncio.to_thread(logging.getLogger("elsewhere.deep").warning, "by %s", name)
                await asyncio.sleep(0)

    async def run() -> None:
        await asyncio.gather(one("r-a"), one("r-b"))

    asyncio.run(run())
    assert all(f"{name} by {name}" in line for line in captured.lines for name in [line.split()[0]])
    logging.getLogger("elsewhere.deep").warning("outside")
    assert captured.lines[-1].startswith("- outside")

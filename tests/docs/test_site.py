"""The documentation site: it builds without a warning, its links hold, its pages ask nobody for anything."""

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from serve_apps.screenshot import browser, chromium

pytestmark = pytest.mark.server

LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "link": "href",
}  # what a page fetches by itself


class Tags(HTMLParser):
    """The addresses that a page loads, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if told.get("rel") != "canonical" and (address := told.get(LOADS.get(tag, ""))):
            self.loads.append(address)
        if tag == "a" and (address := told.get("href")):
            self.links.append(address)


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; `--strict` makes every warning a failure."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Tags]:
    found = {}
    for path in site.rglob("*.html"):
        found[path] = Tags()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


def test_nothing_is_loaded_from_outside(pages: dict[Path, Tags], site: Path) -> None:
    loads = {address for page in pages.values() for address in page.loads}
    assert loads and not [address for address in loads if re.match(r"(?:\w+:)?//", address)]
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import )['\"]?(?:https?:)?//", styles)


def test_every_document_is_a_page(pages: dict[Path, Tags], repository: Path) -> None:
    names = {path.stem for path in (repository / "docs").glob("*.md")}
    assert names <= {path.stem for path in pages}


def test_links_lead_to_files_of_the_site_and_to_lines_that_are_there(pages: dict[Path, Tags], site: Path) -> None:
    lines = 0
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links are from the server's root
        for address in page.links:
            target, _, anchor = address.partition("#")
            if re.match(r"\w+:", target) or not target:
                continue
            file = path.parent / target
            assert file.exists(), f"{path.name}: {address}"
            if anchor.startswith("__codelineno"):
                lines += 1
                assert f'id="{anchor}"' in file.read_text(encoding="utf-8"), f"{path.name}: {address}"
    assert lines > 40


def test_a_link_to_a_function_leads_to_its_definition(pages: dict[Path, Tags], site: Path, repository: Path) -> None:
    source = (repository / "platform/showcases/selector/greedy.py").read_text().splitlines()
    line = next(number for number, text in enumerate(source, 1) if text.startswith("def greedy_map("))
    address = f"source/platform/showcases/selector/greedy.py.html#__codelineno-0-{line}"
    assert address in pages[site / "equations.html"].links


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.skipif(chromium() is None, reason="no chromium is installed")
def test_a_browser_asks_this_site_alone_and_pages_fit(address: str) -> None:
    """The scripts may ask for what no tag names; a page must not be wider than a phone."""
    asked: list[str] = []
    with browser() as opened:
        page = opened.new_page(viewport={"width": 390, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "equations", "architecture"):
            with page.expect_request("**/search_index.json"):  # the scripts do run
                page.goto(f"{address}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    assert [url for url in asked if not url.startswith((f"{address}/", "data:"))] == []


def test_what_is_not_there_stops_the_build(repository: Path) -> None:
    from mkdocs.exceptions import PluginError

    from docs import site_hook

    with pytest.raises(PluginError, match="no section `Nowhere`; it has Requirements"):
        site_hook.with_readme("<!-- README: Nowhere -->", repository)
    for path in ("platform/showcases/none.py", "platform", "../elsewhere.py"):
        with pytest.raises(PluginError, match="no such file"):
            site_hook.as_page(repository / path, path)

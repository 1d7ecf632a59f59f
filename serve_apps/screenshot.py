"""Takes screenshots of the web page with a headless Chromium."""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from serve_apps.args import ShowcaseArgs
from serve_apps.rollout.models import open_catalog
from serve_apps.run import serving
from showcases.errors import ConfigError, ShowcasesError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SIZES = {"desktop": (1320, 960), "phone": (390, 844)}  # px


def chromium() -> str | None:
    """Path of the installed Chromium, if any."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextlib.contextmanager
def browser() -> Iterator["Browser"]:
    """The machine's Chromium, headless.

    Raises:
        ConfigError: Chromium or Playwright is not installed.
    """
    path = chromium()
    if path is None:
        raise ConfigError("no chromium on the PATH: install one to take screenshots")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise ConfigError("playwright is not installed: pip install -e '.[dev]'") from error
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=QUIET)
        try:
            yield opened
        finally:
            opened.close()


def show(page: "Page", url: str, user_id: str, business_id: str, k: int = 3) -> None:
    """Open the page on one showcase, highlight its first cited sentence, and wait until it is rendered."""
    page.goto(f"{url}/?user={user_id}&business={business_id}&k={k}")
    page.wait_for_selector("#showcase .foot")  # rendered last, after the streamed text
    page.wait_for_load_state("networkidle")
    cited = page.locator(".sentences li:has(.cites)")
    if cited.count():
        cited.first.dispatch_event("mouseenter")
    page.wait_for_timeout(900)  # the entrance is animated


def first_pair(args: ShowcaseArgs) -> tuple[str, str]:
    """A user with many photos, and the business with most photos that they haven't reviewed."""
    catalog = open_catalog(args)
    user = catalog.users(limit=1).rows[0].user_id
    seen = set(catalog.reviews_of_user(user).business_ids)
    businesses = [row.business_id for row in catalog.businesses(limit=200).rows]
    return user, next((name for name in businesses if name not in seen), businesses[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Start the service and take one screenshot."""
    parser = argparse.ArgumentParser(prog="python -m serve_apps.screenshot", description=__doc__)
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--tracking-uri", help="MLflow URI (default: the workspace's sqlite file)")
    parser.add_argument("--out", type=Path, default=Path("docs/showcase.png"), help="PNG to write")
    parser.add_argument("--user", help="user id (default: one with many photos)")
    parser.add_argument("--business", help="business id (default: one that the user hasn't reviewed)")
    parser.add_argument("--url", help="URL of a running service (default: start one)")
    parser.add_argument("--size", choices=sorted(SIZES), default="desktop")
    options = parser.parse_args(argv)
    args = ShowcaseArgs(root=options.root, tracking_uri=options.tracking_uri)
    try:
        running = contextlib.nullcontext(options.url) if options.url else serving(args, port=0)
        with running as url, browser() as opened:
            user, business = first_pair(args)
            width, height = SIZES[options.size]
            page = opened.new_page(viewport={"width": width, "height": height})
            show(page, url, options.user or user, options.business or business)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=options.out, full_page=options.size == "phone")
            print(f"{options.out}: {url} for user {options.user or user} at {options.business or business}")
    except ShowcasesError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()

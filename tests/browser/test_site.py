"""The site of the documentation, built as `make docs` builds it, in headless Chromium."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

import weighbridge
from tests.browser.chromium import NEEDED, opened, require_no_barrier
from tests.processes import REPOSITORY

PAGES = ("docs/index", "docs/start/gate", "docs/library")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the site; a warning ends its build."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs",
         "-d", str(folder / "kept"), ".", str(folder / "site")],
        capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def address(site):
    """Serve the site on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(context, address):
    made = opened(context, f"{address}/")
    made.wait_for_url("**/docs/index.html")  # where it leads by itself
    yield made
    made.close()


def test_every_link_of_the_site_leads_to_a_page_and_a_place(site):
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")
             if "_downloads" not in path.parts}  # fmt: skip
    places = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    broken = []
    for path, text in texts.items():
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            parts = urlsplit(unescape(link))
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            lost = (
                parts.fragment
                and target in places
                and unquote(parts.fragment) not in places[target]
            )
            if not parts.scheme and (not target.exists() or lost):
                broken.append((path.name, link))

    assert len(texts) > 60
    assert broken == []


def test_the_reference_has_every_public_name(site):
    text = (site / "docs" / "api.html").read_text(encoding="utf-8")

    names = {name for name in weighbridge.__all__ if not name.startswith("_")}
    assert names - set(re.findall(r'id="weighbridge\.(\w+)"', text)) == set()


@NEEDED
@pytest.mark.needs("axe-core")
@pytest.mark.parametrize("width", [1400, 500])
def test_pages_are_accessible_fit_and_ask_nobody_else(page, address, width):
    page.set_viewport_size({"width": width, "height": 900})
    for name in PAGES:
        page.goto(f"{address}/{name}.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        require_no_barrier(page, "light")

    assert {urlsplit(url).netloc for url in page.requests} <= {urlsplit(address).netloc, ""}
    assert page.complaints == []


@NEEDED
def test_the_search_finds_without_a_server_of_its_own(page, address):
    page.goto(f"{address}/search.html?q=tolerance")

    # Results come one after the other.
    page.locator("ul.search li a", has_text="Planning a check").first.wait_for()

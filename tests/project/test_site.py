"""The built documentation works in a real browser, on a phone and without other hosts.

`nox -s docs` builds the site and runs these tests.
"""

from __future__ import annotations

import functools
import http.server
import threading
import zlib
from collections.abc import AsyncGenerator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import pytest_asyncio

from tests.project.test_docstrings import public_objects
from tests.support.browser import Page, find_browser, open_page

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
PHONE = 375

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SITE / "index.html").is_file(), reason="the site is not built: nox -s docs builds it"
    ),
]
needs_browser = pytest.mark.skipif(
    find_browser() is None, reason="no Chromium: apt-get install chromium"
)


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> None:
    """Replace the detector of blocking calls. No code of the libraries runs here."""


class Links(HTMLParser):
    """Targets of the links of a page, and the ids that links can point to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.ids.add(value)
            elif value and (name == "src" or (name == "href" and tag in ("a", "link"))):
                self.targets.append(value)


@functools.cache
def links_of(page: Path) -> Links:
    return Links(page)


def pages() -> list[Path]:
    return sorted(SITE.rglob("*.html"))


def is_broken(page: Path, target: str) -> bool:
    url = urlsplit(urljoin(page.as_uri(), target))
    file = Path(unquote(url.path))
    if not file.is_file():
        return True
    return bool(url.fragment) and unquote(url.fragment) not in links_of(file).ids


def test_no_link_of_the_site_is_broken() -> None:
    broken = [
        (page.relative_to(SITE).as_posix(), target)
        for page in pages()
        for target in links_of(page).targets
        if not target.startswith(("http:", "https:", "mailto:", "data:"))
        and is_broken(page, target)
    ]
    assert broken == []


def test_the_reference_has_every_public_name() -> None:
    _, _, content = (SITE / "objects.inv").read_bytes().partition(b"using zlib.\n")
    documented = {
        line.split()[0].rpartition(".")[2]
        for line in zlib.decompress(content).decode().splitlines()
    }
    public = {name.rpartition(".")[2] for name in public_objects()}
    assert public - documented == set()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Handler of static files that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of a server of the site."""
    handler = functools.partial(QuietHandler, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture
async def page() -> AsyncGenerator[Page, None]:
    browser = find_browser()
    assert browser is not None
    async with open_page(browser) as page:
        yield page


@needs_browser
@pytest.mark.timeout(600)
async def test_every_page_fits_a_phone_and_reports_no_error(page: Page, address: str) -> None:
    await page.resize(PHONE)
    too_wide = {}
    for file in pages():
        name = file.relative_to(SITE).as_posix()
        await page.open(f"{address}/{name}")
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE:
            too_wide[name] = width
    assert too_wide == {}
    assert page.problems == []


@needs_browser
async def test_the_search_finds_session_reports(page: Page, address: str) -> None:
    await page.open(f"{address}/search.html?q=session_reports")
    found = await page.evaluate(
        """new Promise(resolve => setInterval(() => {
            const links = [...document.querySelectorAll('#search-results li a')];
            if (links.length) resolve(links.map(link => link.textContent));
        }, 50))"""
    )
    assert any("DepotClient.session_reports" in text for text in found)
    assert page.problems == []

"""Headless Chromium, driven by its DevTools protocol over a web socket."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import attrs

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-port=0",
)


def find_browser() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@attrs.define
class Page:
    """A tab. `problems` has the errors of its console, and requests that leave this machine."""

    _socket: aiohttp.ClientWebSocketResponse
    _ids: itertools.count[int] = attrs.field(factory=itertools.count)
    _loaded: bool = False
    problems: list[str] = attrs.field(factory=list[str])

    async def call(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result. Events that arrive before it are noted."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._receive()).get("id") != number:
            pass
        assert "error" not in message, message
        return message["result"]

    async def _receive(self) -> Any:
        message = await self._socket.receive_json(timeout=60)
        parameters = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                self.problems.append(str(parameters["exceptionDetails"]))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.problems.append(f"{parameters['entry']['text']} {parameters['entry']['url']}")
            case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                self.problems.append(str(parameters["args"]))
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("http://127.0.0.1", "data:", "blob:")):
                    self.problems.append(f"a request to {url}")
        return message

    async def open(self, url: str) -> None:
        """Load a page, and wait until its scripts have run."""
        self._loaded = False
        await self.call("Page.navigate", url=url)
        while not self._loaded:
            await self._receive()

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression or of the promise that it returns."""
        result = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def resize(self, width: int, height: int = 800) -> None:
        """Show the pages as a phone or a screen of this size does."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    async def save_screenshot(self, file: Path) -> None:
        """Save a picture of the visible part of the page."""
        picture = await self.call("Page.captureScreenshot")
        file.write_bytes(base64.b64decode(picture["data"]))


@asynccontextmanager
async def open_page(browser: str) -> AsyncGenerator[Page, None]:
    """Start a browser with an empty profile, and yield a tab. Kill the browser at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            *(browser, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with aiohttp.ClientSession() as session:
                port = await _read_port(process)
                async with session.get(f"http://127.0.0.1:{port}/json") as response:
                    (tab,) = [t for t in await response.json() if t["type"] == "page"]
                url = tab["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    page = Page(socket)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await page.call(f"{domain}.enable")
                    yield page
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


async def _read_port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if line.startswith("DevTools listening on ws://"):
            return int(line.split(":")[2].partition("/")[0])
    raise RuntimeError("the browser did not start")

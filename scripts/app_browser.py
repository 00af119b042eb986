"""The real App in a real Chromium: for the browser tests, the docs' pictures and a benchmark.

Nothing leaves the machine: the server listens on 127.0.0.1, and Chromium finds no other host.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    Request,
    TimeoutError,
    expect,
    sync_playwright,
)

REPOSITORY = Path(__file__).resolve().parents[1]
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE_S = 60  # cores may be shared; on idle ones the page takes a second or two
COUNT_FITS = """(pattern) => {
  const counts = document.querySelector('[data-cy="entry-counts"]');
  return counts !== null && new RegExp(pattern).test(counts.innerText.trim());
}"""

expect.set_options(timeout=PATIENCE_S * 1000)


def find_chromium() -> str | None:
    """The path of Debian's Chromium, or None."""
    return shutil.which("chromium")


# -- the server -----------------------------------------------------------------------------------


def copy_plugin(folder: Path) -> Path:
    """Copy the plugin alone into a folder of plugins; returns its folder there."""
    plugin = folder / "fiftyone-drop"
    shutil.copytree(
        REPOSITORY / "plugins" / "drop",
        plugin / "plugins" / "drop",
        ignore=shutil.ignore_patterns("node_modules", "__pycache__"),
    )
    shutil.copy(REPOSITORY / "fiftyone.yml", plugin)
    return plugin


class AppServer:
    """A running server: its ``url``, and the file ``log`` that it writes to."""

    def __init__(self, url: str, log: Path):
        self.url = url
        self.log = log


@contextlib.contextmanager
def app_server(log: Path, plugins: Path) -> Iterator[AppServer]:
    """The App's server, on a free port, with the plugins of a folder and this environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fiftyone.server.main"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--address", "127.0.0.1"],
            env=os.environ | {"FIFTYONE_PLUGINS_DIR": str(plugins), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_serving(server, url, log)
        yield AppServer(url, log)
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait_until_serving(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 3 * PATIENCE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the App's server ended:\n{log.read_text(errors='replace')}")
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the App's server did not answer; its log is {log}")


# -- the browser ----------------------------------------------------------------------------------


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium.

    While it is open an event loop runs in this thread, so that no ``asyncio.run`` works.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


class AppPage:
    """The App in one page of a browser, and what a person does there.

    Attributes:
        page: the Playwright page
        errors: the errors of the browser's console so far, as :func:`anonymous` leaves them
        requests: the requests so far
        open_requests: the requests that have no answer yet
    """

    def __init__(self, browser: Browser, server: AppServer):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        # FiftyOne's advertisement would lie over the page and catch all clicks
        context.add_init_script("localStorage['fiftyone-enterprise-tooltip-seen'] = 'true'")
        context.add_init_script("localStorage['mui-mode'] = 'dark'")
        self.server = server
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.requests: list[Request] = []
        self.open_requests: set[Request] = set()
        self.page.on("request", self._on_request)
        self.page.on("requestfinished", self._on_answer)
        self.page.on("requestfailed", self._on_answer)
        self.page.on("pageerror", lambda error: self.errors.append(anonymous(str(error))))
        self.page.on("console", self._on_console)

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(anonymous(message.text))

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.endswith("/events"):  # the stream of the session, open all the time
            self.open_requests.add(request)

    def _on_answer(self, request: Request) -> None:
        self.open_requests.discard(request)

    def settle(self) -> None:
        """Wait until the server owes the page no answer."""
        deadline = time.monotonic() + PATIENCE_S
        while self.open_requests and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)

    def rest(self) -> None:
        """Wait until the page asks nothing more: it reads itself twice when it opens."""
        for _ in range(4):
            asked = len(self.requests)
            self.page.wait_for_timeout(1000)
            self.settle()
            if asked == len(self.requests):
                return

    def close(self) -> None:
        """Close the page."""
        self.settle()
        self.page.context.close()

    # -- the grid --

    def open(self, dataset: str, **query: str) -> None:
        """Load the page of a dataset, for example ``open(name, view="drop-kept")``."""
        address = f"{self.server.url}/datasets/{quote(dataset)}"
        self.page.goto(f"{address}?{urlencode(query)}" if query else address)
        self.samples.first.wait_for(timeout=3 * PATIENCE_S * 1000)

    def expect_count(self, count: int) -> None:
        """Wait until the grid says that it shows this number of samples."""
        words = "sample" if count == 1 else "samples"
        pattern = rf"^\D*{count:,}( of [\d,]+)? {words}\D*$"
        # At each frame of the page, where `expect` looks once a second
        with contextlib.suppress(TimeoutError):
            self.page.wait_for_function(COUNT_FITS, arg=pattern, timeout=PATIENCE_S * 1000)
        expect(self.counts).to_have_text(re.compile(pattern), timeout=1000)

    @property
    def samples(self) -> Locator:
        """The samples in the grid."""
        return self.page.locator('[data-cy="looker"]')

    @property
    def counts(self) -> Locator:
        """The words above the grid, such as "300 samples"."""
        return self.page.locator('[data-cy="entry-counts"]').first

    @property
    def saved_view(self) -> Locator:
        """The name of the saved view that the grid shows, if it shows one."""
        return self.page.locator('[data-cy="saved-views-selection"]').first

    # -- operators --

    def search_operators(self, words: str) -> Locator:
        """Open the operator browser and type; returns its list."""
        self.page.locator('[data-cy="action-browse-operations"]').first.click()
        self.page.locator('[data-cy="operators-browser-search"]').fill(words)
        return self.page.locator('[data-cy="operators-browser"]')

    def open_form(self, label: str) -> Locator:
        """Choose an operator in the operator browser; returns its form, ready to be filled in."""
        self.search_operators(label).get_by_text(label, exact=True).click()
        return self.form()

    def form(self) -> Locator:
        """The open form, ready to be filled in."""
        form = self.page.locator('[data-cy="operators-prompt-modal"]')
        expect(form.get_by_role("button", name="Execute")).to_be_visible()
        return form

    def execute(self, form: Locator) -> None:
        """Execute a form once it is valid.

        A click while the App validates may have no effect: then click again.
        """
        self.settle()
        button = form.get_by_role("button", name="Execute")
        button.click()
        try:
            expect(button).to_be_hidden(timeout=10_000)
        except AssertionError:
            button.click()

    # -- panels --

    def open_panel(self, name: str) -> Locator:
        """Open a panel beside the grid unless it is open; returns its content."""
        content = self.page.locator(f'[data-cy="panel-content-{name}"]')
        tab = self.page.locator(f'[data-cy="panel-tab-{name.lower()}"]')
        if tab.count() == 0:
            self.page.locator('[data-cy="new-panel-btn"]').last.click()
            self.page.locator(f'[data-cy="new-panel-option-{name}"]').click()
        content.wait_for()
        return content


def anonymous(message: str) -> str:
    """A message without addresses, ids and numbers, which differ from one load to the next."""
    return re.sub(r"[0-9a-f]{24,}|\d+", "#", re.sub(r"https?://\S+", "URL", message))

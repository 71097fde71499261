"""A headless Chromium that opens pages, and tells what it asked for and what it complained of."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stawm.web.serving import address, open_server

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = "no chromium and chromedriver here: apt-get install chromium chromium-driver (`.ci/run` does)"
STATE = """
    const { state, proof } = document.documentElement.dataset;
    return state === "done" && proof === "pending" ? "proving" : state;
"""
PATIENCE = 120
"""Seconds until a state that does not come is a failure: machines may be busy."""


def require_browser() -> None:
    """Skip where no browser can be driven."""
    if BROWSER is None or DRIVER is None:
        pytest.skip(MISSING)
    pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")


class Browser:
    """What the tests do in a browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str, *args: Any) -> Any:
        """Run a function's body in the page."""
        return self.driver.execute_script(script, *args)

    def wait(self, script: str, *args: Any) -> Any:
        """Run the body of an async function in the page, and return what it gives."""
        body = f"const done = arguments[arguments.length - 1]; (async (...given) => {{ {script} }})"
        calls = (
            "(...[...arguments].slice(0, -1)).then((found) => done({ found }), (error) => done({ error: `${error}` }))"
        )
        said = self.driver.execute_async_script(f"{body}{calls}", *args)
        assert "error" not in said, said["error"]
        return said["found"]

    def settled(self) -> str:
        """Wait until the page has looked and proved itself, or is broken, and return which."""
        return self.until(lambda: self.run(STATE), "done", "broken")

    def until(self, ask: Callable[[], Any], *wanted: Any) -> Any:
        """Wait until something is one of some values, and return it."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE, 0.02).until(lambda _: (found := ask()) in wanted and found)

    def open(self, url: str) -> str:
        """Open a page anew and wait for it."""
        self.driver.get("about:blank")
        self.driver.get(url)
        return self.settled()

    def text(self, name: str) -> str:
        """Return the text of an element."""
        return self.run("return document.getElementById(arguments[0]).textContent", name)

    def find(self, selector: str) -> Any:
        """Return an element."""
        return self.driver.find_element("css selector", selector)

    def keep_picture(self, name: str) -> None:
        """Keep what the page looks like, where somebody wants to see it."""
        folder = os.environ.get("STAWM_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def complaints(self) -> list[str]:
        """Return what the console was told since the last call, errors and warnings alike."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def asked_for(self) -> list[str]:
        """Return the addresses of all requests since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("about:", "data:"))]


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser that is closed in the end."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,1400"):
        options.add_argument(f"--{flag}")
    options.add_argument("--force-prefers-reduced-motion")  # glimpses follow each other without a pause
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.set_script_timeout(PATIENCE)
        yield Browser(driver)
    finally:
        driver.quit()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder that is served."""
    with open_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield address(server)
        finally:
            server.shutdown()
            thread.join()

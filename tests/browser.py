"""A real browser, headless; tests that ask for it skip where there is none."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver


@pytest.fixture(scope="module")
def chromium() -> Iterator["WebDriver"]:
    pytest.importorskip("selenium", reason="selenium is not installed")
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium and chromedriver on the path")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, Service(driver))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture
def browser(chromium: "WebDriver") -> Iterator["WebDriver"]:
    """At 1280 x 900, in the light; what its console says fails the test."""
    look(chromium, 1280, "light")
    yield chromium
    told = chromium.get_log("browser")  # type: ignore[no-untyped-call]
    chromium.get("about:blank")
    assert not told, told


def look(browser: "WebDriver", width: int, scheme: str) -> None:
    """Make the window so wide, and light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

"""A headless browser for the pages: found, started, asked. One per process serves all tests."""

from __future__ import annotations

import json
import shutil
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver.chrome.webdriver import WebDriver

CHROME = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

MISSING = "" if CHROME and DRIVER else "needs chromium and chromedriver (apt-get install chromium chromium-driver)"
"""Why there is no browser here."""

CONTRAST = """
const parse = text => { const m = text.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], 0);
function background(node) {
  for (; node; node = node.parentElement) { const c = parse(getComputedStyle(node).backgroundColor); if (c[3] === 1) return c; }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0, 1] : [255, 255, 255, 1];
}
const found = [];
for (const node of document.querySelectorAll("body *:not(svg):not(svg *):not(script)")) {
  if (![...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim())) continue;
  const style = getComputedStyle(node), a = luminance(parse(style.color)), b = luminance(background(node));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
  if (ratio < least) found.push([node.className, node.textContent.trim().slice(0, 40), ratio]);
}
return found;
"""
"""Texts whose contrast to what is behind them is less than WCAG 2.2 asks for at level AA (1.4.3)."""


@cache
def browser() -> WebDriver:
    """The browser of this process."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROME)
    # tests of containers run as root, where the browser's own sandbox does not start
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def close() -> None:
    """End the browser, if there is one."""
    if browser.cache_info().currsize:
        browser().quit()
        browser.cache_clear()


def show(page: Path, *, width: int = 1280, height: int = 900, scheme: str = "light") -> WebDriver:
    """The browser after it has opened a page from disk."""
    driver = browser()
    for log in ("browser", "performance"):
        driver.get_log(log)
    features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(page.resolve().as_uri())
    return driver


def complaints(driver: WebDriver) -> list[str]:
    """What the console says."""
    return [str(entry["message"]) for entry in driver.get_log("browser")]


def requests(driver: WebDriver) -> list[str]:
    """Addresses that were asked for and are not within the page."""
    sent: list[Any] = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in sent if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "blob:"))]

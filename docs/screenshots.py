"""Make the pictures of a report that the README shows: ``python docs/screenshots.py`` from the root of the repository.

Needs ``chromium`` and ``chromedriver`` (Debian: ``apt-get install chromium chromium-driver``) and the extra ``dev``. It certifies
40 digits with proofs (about half a minute), opens the report as a desktop and as a telephone would, and writes
``docs/images/report-desktop.png`` and ``docs/images/report-phone.png``, with at most 256 colours each so that they stay small.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver

from wdaverify.cli.main import main

ROOT = Path(__file__).parents[1]
MODEL, DATA = ROOT / "instances/digits/digits-64-32-16.onnx", ROOT / "instances/digits/digits-test.npz"
QUESTION = ["certify", str(MODEL), "--data", str(DATA), "--samples", "40", "--radius", "0.01,0.02,0.05"]

VIEWS = {"desktop": (1280, 2030, 1), "phone": (400, 1480, 1.5)}
"""Width and height in pixels of CSS, and pixels of the picture for each."""


def take(page: Path, folder: Path) -> None:
    """Open the page in every view and save what is seen."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        for name, (width, height, scale) in VIEWS.items():
            view = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": name == "phone"}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
            driver.get(page.as_uri())
            shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
            picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                folder / f"report-{name}.png", optimize=True
            )
    finally:
        driver.quit()


def screenshots() -> int:
    """Certify, open, save."""
    images = ROOT / "docs/images"
    images.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        status = main([*QUESTION, "--output", str(page.with_suffix(".json")), "--report", str(page), "--quiet"])
        if status == 0:
            take(page, images)
    return status


if __name__ == "__main__":
    sys.exit(screenshots())

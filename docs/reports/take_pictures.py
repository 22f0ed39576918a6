"""Pictures of a report's parts for docs/reports/reading.md, from a finished sweep.

    tg-sweep run digits-finalists --set training.total_kimg=36 --set early_stopping.grace_kimg=18
    python docs/reports/take_pictures.py runs/digits-finalists

Needs Playwright and Chromium, as the tests do. The page is opened from its file, 1080 pixels wide,
in its light colours.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
WIDTH = 1080
PARTS = {
    "verdict": "header.top",
    "quality": "#quality",
    "finalists": "#finalists",
    "samples": "#samples .samples",
    "leaderboard": "#leaderboard",
    "progress": "#progress .charts >> nth=0",
    "importance": "#mattered .importance",
    "slices": "#mattered .charts.small",
    "factors": "#factors .charts",
    "cost": "#cost .split",
}
"""Each picture's name, and what it is of."""


def take(report: Path, out: Path) -> None:
    """Write a PNG for each part that the report has."""
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        page.goto(report.absolute().as_uri())
        page.wait_for_load_state("networkidle")
        for name, selector in PARTS.items():
            part = page.locator(selector).first
            if part.count():
                _shoot(page, part, out / f"{name}.png")
        browser.close()


def _shoot(page: Page, part: Locator, path: Path) -> None:
    part.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)  # charts are drawn when they come into view
    shot = Image.open(io.BytesIO(part.screenshot()))
    # Few colours: a page of flat ones loses nothing to the eye and two thirds of its weight.
    shot.convert("RGB").quantize(192, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Take the pictures of one run folder's report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run folder of a finished sweep")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures")
    arguments = parser.parse_args()
    take(arguments.run / "report.html", arguments.out)


if __name__ == "__main__":
    main()

"""The picture of a report that the README shows: the top of the page, as a browser draws it.

    python benchmarks/report_picture.py runs/digits-finalists/report.html docs/reports/report.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1200, 1560


def main() -> None:
    """Draw the page, and keep its top."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="dark" if arguments.dark else "light",
        )
        page.goto(arguments.report.resolve().as_uri())
        page.wait_for_selector("html[data-drawn]")
        page.screenshot(path=arguments.picture)
        browser.close()


if __name__ == "__main__":
    main()

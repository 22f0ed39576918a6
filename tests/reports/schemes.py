"""A page in another colour scheme."""

from __future__ import annotations

import time
from typing import Any

INKS = """() => {
  const wanted = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();
  const found = [...document.querySelectorAll('.plot')].map((plot) => plot.layout.font.color);
  return { wanted, found };
}"""


def show_in(page: Any, scheme: str, *, seconds: float = 60.0) -> None:
    """Show the page in a scheme, and wait until every chart is drawn in it.

    The page's policy forbids what playwright would wait with: it is asked again and again.
    """
    page.emulate_media(color_scheme=scheme)
    end = time.monotonic() + seconds
    while True:
        inks = page.evaluate(INKS)
        if all(ink == inks["wanted"] for ink in inks["found"]):
            return
        assert time.monotonic() < end, f"charts are not drawn in {scheme}: {inks}"
        page.wait_for_timeout(50)

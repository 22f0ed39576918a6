"""The images in a browser: a trial is chosen, its training scrubbed, with a keyboard alone."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Page = Any


def frame(page: Page) -> str:
    """Training of the one frame that is shown."""
    shown = page.locator(".film:visible .frame:visible")
    assert shown.count() == 1
    return shown.get_attribute("data-kimg")


def picture(page: Page) -> str:
    """The image of that frame."""
    image = page.locator(".film:visible .frame:visible img")
    assert image.evaluate("image => image.naturalWidth") == 71
    return image.get_attribute("src")


def test_slider_goes_through_the_rungs_by_keyboard_and_says_where_it_is(page: Page) -> None:
    slider = page.locator(".film:visible input[type=range]")
    seen = [(frame(page), picture(page))]
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
        seen.append((frame(page), picture(page)))
    assert [kimg for kimg, _ in seen] == ["60 kimg", "40 kimg", "20 kimg"]
    assert len({image for _, image in seen}) == 3
    assert (
        slider.get_attribute("aria-valuetext")
        == "20 kimg, FD digits_classifier@1000 = 24.42 ± 0.31"
    )
    page.keyboard.press("End")
    assert frame(page) == "60 kimg"
    assert slider.get_attribute("aria-valuetext").startswith("60 kimg, ")


def test_last_frame_is_the_grid_among_the_best(page: Page) -> None:
    assert picture(page) == page.get_attribute("#grid-0003", "src")


def test_another_trial_is_chosen_with_all_that_belongs_to_it(page: Page) -> None:
    page.locator("#film").select_option(label="0004, rank 5")
    assert page.locator(".film:visible").count() == 1
    assert page.locator(".film:visible .screen h4").text_content() == "Trial 0004 over training"
    assert frame(page) == "40 kimg"
    assert page.locator(".film:visible .walks img").is_visible()
    page.locator("#film").focus()
    page.keyboard.press("Home")
    assert page.locator(".film:visible .screen h4").text_content() == "Trial 0003 over training"


def test_copying_trial_is_exposed_and_the_best_is_not(page: Page) -> None:
    assert page.locator(".film:visible .alarm").count() == 0
    page.locator("#film").select_option(label="0001, rank 2")
    alarm = page.locator(".film:visible .alarm")
    assert "32 samples of 64 are nearer than" in alarm.text_content()
    distances = page.locator(".film:visible .strip").first.locator("li").all_text_contents()
    assert distances == ["0.100"] * 8


@pytest.mark.parametrize("width", [360, 600, 870, 1280])
def test_distance_is_on_one_line_and_clear_of_its_neighbour(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    places = page.locator(".film:visible .distances").first.evaluate(
        """list => [...list.children].map(item => {
          const range = document.createRange();
          range.selectNodeContents(item);
          const lines = [...range.getClientRects()];
          return [lines.length, lines[0].left, lines[0].right];
        })"""
    )
    assert [lines for lines, _, _ in places] == [1] * 8
    assert all(right < left for (_, _, right), (_, left, _) in itertools.pairwise(places))


def test_each_image_is_in_the_file_once(page: Page, report: Path) -> None:
    """Five grids, eleven other frames, walks and a strip of six trials, and one of real images."""
    text = report.read_text()
    assert len(re.findall(r'<img src="data:image/', text)) == 5 + 11 + 6 + 6 + 1
    assert page.locator("img").count() == 5 + (11 + 4) + 6 + 6 + 6
    assert page.locator("[data-same]").count() == 0


def test_all_frames_of_the_chosen_trial_are_printed(page: Page) -> None:
    page.emulate_media(media="print")
    shown = page.locator(".film:visible .frame:visible")
    assert [one.get_attribute("data-kimg") for one in shown.all()] == [
        "20 kimg",
        "40 kimg",
        "60 kimg",
    ]
    assert page.locator(".film:visible input[type=range]").is_hidden()


def test_without_scripts_the_best_trials_frames_stand_side_by_side(
    browser: Any, report: Path
) -> None:
    context = browser.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto(report.as_uri())
    assert bare.locator(".film:visible").count() == 1
    assert bare.locator(".frame:visible").count() == 3
    assert bare.locator(".frame:visible").last.inner_text().startswith("The grid above.")
    assert bare.locator(".scrub:visible").count() == 0
    context.close()

"""The leaderboard in a browser: sorted, filtered and grouped, with a keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow

Page = Any
RANKING = ["0003", "0001", "0000", "0007", "0004", "0002", "0008", "0005", "0006"]
HEADINGS = [
    "Tied: not told apart from the best by this many images",
    "Other completed trials",
    "Stopped early, longest training first",
    "Not ranked",
]


def trials(page: Page) -> list[str]:
    """The trials shown, from top to bottom."""
    rows = page.locator("#board tbody tr[data-trial]:visible").all()
    return [row.get_attribute("data-trial") for row in rows]


def headings(page: Page) -> list[str]:
    return page.locator("#board tbody tr.group:visible").all_text_contents()


def column(page: Page, label: str) -> Any:
    """The filter of a column."""
    return page.get_by_label(f"Filter {label}", exact=True)


def test_ties_stand_together_and_are_said_to_be_ties(page: Page) -> None:
    assert headings(page) == HEADINGS
    lines = page.locator("#board tbody tr").all()
    assert [line.get_attribute("data-trial") for line in lines[:4]] == [None, "0003", "0001", None]


def test_groups_go_with_any_order_but_the_rankings_and_come_back(page: Page) -> None:
    rank = page.locator("#board th button[data-column='0']")
    page.click("#board th button[data-column='1']")
    assert trials(page) == [f"{number:04d}" for number in range(9)]
    assert headings(page) == []
    rank.click()
    assert (trials(page), headings(page)) == (RANKING, HEADINGS)
    rank.click()
    assert trials(page)[:6] == RANKING[5::-1]
    assert headings(page) == []


def test_group_without_a_trial_left_has_no_heading(page: Page) -> None:
    page.fill("#filter", "0001")
    assert (trials(page), headings(page)) == (["0001"], HEADINGS[:1])


def test_state_is_chosen_from_those_there_are(page: Page) -> None:
    options = page.locator("#state-filter option").all_text_contents()
    assert options[:3] == ["All states", "completed (4)", "stopped early (2)"]
    page.select_option("#state-filter", "stopped_early")
    assert trials(page) == ["0004", "0002"]
    assert page.text_content("#shown") == "2 of 9 shown"
    page.select_option("#state-filter", "")
    assert trials(page) == RANKING


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("<5", ["0003", "0001", "0004"]),
        (">=9.3", ["0000", "0007", "0002", "0008"]),
        ("4..10", ["0003", "0001", "0000"]),
        ("=4.21", ["0003"]),
        ("4.60", ["0001"]),
    ],
)
def test_column_of_numbers_is_filtered_by_bounds_range_or_text(
    page: Page, typed: str, expected: list[str]
) -> None:
    page.click("#column-toggle")
    column(page, "FD digits_classifier").fill(typed)
    assert set(trials(page)) >= set(expected)
    shown = trials(page)
    assert [trial for trial in shown if trial != "0006"] == expected


def test_filters_of_several_columns_and_words_hold_together(page: Page) -> None:
    page.click("#column-toggle")
    column(page, "kimg").fill(">=40")
    column(page, "state").fill("stopped")
    assert trials(page) == ["0004"]
    page.fill("#filter", "0003")
    assert trials(page) == []
    assert page.text_content("#shown") == "0 of 9 shown"


def test_filter_that_is_none_is_said_and_hides_nothing(page: Page) -> None:
    page.click("#column-toggle")
    field = column(page, "kimg")
    field.fill("<many")
    assert trials(page) == RANKING
    assert field.get_attribute("aria-invalid") == "true"
    assert page.text_content("#shown") == (
        "9 trials; “<many” is no filter: write <5, >=5, 2..5 or a word"
    )
    field.fill("<41")
    assert field.get_attribute("aria-invalid") == "false"
    assert page.text_content("#shown") == "4 of 9 shown"


def test_closing_the_column_filters_lets_all_rows_back(page: Page) -> None:
    page.click("#column-toggle")
    column(page, "kimg").fill("<20")
    assert trials(page) == ["0005"]
    page.click("#column-toggle")
    assert trials(page) == RANKING
    assert page.get_attribute("#column-toggle", "aria-expanded") == "false"


def test_sorting_and_filtering_need_a_keyboard_alone(page: Page) -> None:
    page.focus("#filter")
    page.keyboard.type("completed")
    assert trials(page) == ["0003", "0001", "0000", "0007"]
    for _ in range(2):  # past the states, to the button
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Filter rank"
    page.keyboard.type("<4")
    assert trials(page) == ["0003", "0001", "0000"]
    head = page.locator("#board th button[data-column='1']")
    head.focus()
    page.keyboard.press("Enter")
    assert trials(page) == ["0000", "0001", "0003"]
    page.keyboard.press("Space")
    assert trials(page) == ["0003", "0001", "0000"]
    assert page.locator("#board th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.dataset.column") == "1"

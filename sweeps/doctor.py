"""The doctor's visit: look at the machine, climb the ladder if asked, and tell."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from evaluation.agreement.check import Check
from evaluation.whole_files import write_atomically
from sweeps.doctor_text import agreement_page, say_check, say_finding, say_rung, summary
from sweeps.machine import Finding, examine, ladder
from sweeps.plan import available_cpus

DOCUMENT_VERSION = 1


class PageError(ValueError):
    """The page can't be written where it was asked for."""


def visit(
    console: Console,
    *,
    address: str | None = None,
    fid: bool = False,
    quick: bool = False,
    page: Path | None = None,
    as_json: bool = False,
) -> bool:
    """Look, and print each thing as soon as it is known; a JSON document is printed at the end.

    Args:
        console: where results go.
        address: Ray cluster to try; by default none.
        fid: whether to climb the ladder of agreement.
        quick: leave out of it what takes long.
        page: file to write the ladder to, as Markdown.
        as_json: print one JSON document instead.

    Returns:
        Whether all that was looked at is well: nothing failed. What is absent or was not run does
        not count.

    Raises:
        PageError: the page's folder can't be made or written.
    """
    if page is not None:
        _make_folder(page)
    findings: list[Finding] = []
    for finding in examine(address):
        findings.append(finding)
        if not as_json:
            say_finding(finding, console)
    checks: list[Check] = []
    for check in ladder(quick=quick) if fid else ():
        if not as_json:
            if not checks or checks[-1].rung != check.rung:
                say_rung(check.rung, console)
            say_check(check, console)
        checks.append(check)
    if as_json:
        print(json.dumps(document(findings, checks if fid else None), indent=1, allow_nan=False))
    elif fid:
        console.print(f"\n{summary(checks)}", highlight=False)
    if page is not None:
        versions = next(finding.text for finding in findings if finding.topic == "versions")
        _write(page, agreement_page(checks, versions, available_cpus()))
    return all(finding.state != "failed" for finding in findings) and all(
        check.outcome != "failed" for check in checks
    )


def document(findings: Sequence[Finding], checks: Sequence[Check] | None) -> dict[str, object]:
    """All that was found; without a ladder, `agreement` is null.

    A number that JSON has no word for (infinite, or none at all) is null, its check having failed.
    """
    agreement = None if checks is None else [_row(check) for check in checks]
    return {
        "version": DOCUMENT_VERSION,
        "machine": [finding.model_dump(mode="json") for finding in findings],
        "agreement": agreement,
    }


def _row(check: Check) -> dict[str, object]:
    values = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in check.model_dump(mode="json").items()
    }
    return {"outcome": check.outcome, **values}


def _make_folder(page: Path) -> None:
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PageError(
            f"--page {page}: its folder can't be made ({error.strerror}); name another"
        ) from None


def _write(page: Path, text: str) -> None:
    try:
        write_atomically(page, text.encode())
    except OSError as error:
        raise PageError(
            f"--page {page}: it can't be written ({error.strerror}); name another"
        ) from None

"""Run all benchmarks, one after the other, and write one JSON document and one page.

    python -m benchmarks                              # hours, on a machine that does nothing else
    python -m benchmarks --only start-up report       # the others' figures stay
    python -m benchmarks --quick                      # minutes: shows that all run

A benchmark that fails is named, with its last words, and the others are run all the same; document
and page are written anew after each. Figures of another machine or other versions don't stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.suite import BENCHMARKS, RESULT, ROOT, Benchmark
from benchmarks.suite_page import page, row_entry

PAGE = ROOT / "docs" / "benchmarks.md"
LIBRARIES = (
    *("tg-sweep", "torch", "torch-fidelity", "numpy", "scipy", "pytorch-fid", "clean-fid"),
    *("ray", "optuna", "pandas", "plotly"),
)
LONGEST_SECONDS = 3 * 3600
"""Of one benchmark, after which it counts as hung."""
EXIT_FAILED = 1


class BenchmarkError(Exception):
    """A benchmark ended without its figures."""


def run_all(
    benchmarks: Sequence[Benchmark],
    document: dict[str, Any],
    *,
    quick: bool,
    write: Callable[[dict[str, Any]], None],
    longest_seconds: float = LONGEST_SECONDS,
) -> int:
    """Run `benchmarks` in turn and put what they found in the place of what `document` had of them.

    Returns:
        How many failed.
    """
    num_failed = 0
    for benchmark in benchmarks:
        for kind in ("benchmarks", "not_run"):
            document[kind] = [e for e in document[kind] if e["name"] != benchmark.name]
        reason = benchmark.obstacle(quick=quick)
        if reason is None:
            print(f"{benchmark.name} …", file=sys.stderr)
            try:
                entry = run_one(benchmark, quick=quick, longest_seconds=longest_seconds)
            except BenchmarkError as error:
                num_failed += 1
                reason = f"failed: {error}"
            else:
                document["benchmarks"].append(entry)
        if reason is not None:
            print(f"{benchmark.name}: {reason}", file=sys.stderr)
            document["not_run"].append({"name": benchmark.name, "reason": reason})
        write(document)
    return num_failed


def run_one(benchmark: Benchmark, *, quick: bool, longest_seconds: float) -> dict[str, Any]:
    """Run one benchmark in a process of its own.

    Raises:
        BenchmarkError: it failed, hung, or left no document that can be read.
    """
    load, date, started = os.getloadavg()[0], time.strftime("%Y-%m-%d"), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        arguments = benchmark.arguments(quick=quick)
        given = [str(result) if word == RESULT else word for word in arguments]
        said = _said_by([sys.executable, *given], longest_seconds)
        if benchmark.document is not None:
            result = benchmark.document
        try:
            text = result.read_text(encoding="utf-8") if result.exists() else said
            found = json.loads(text)
            rows = [row_entry(row) for row in benchmark.rows(found)]
        except (ValueError, LookupError, TypeError) as error:
            raise BenchmarkError(f"its document can't be read ({error!r})") from error
    script, *options = arguments
    return {
        "name": benchmark.name,
        "compares": benchmark.compares,
        "command": shlex.join([str(Path(script).relative_to(ROOT)), *options]),
        "date": date,
        "commit": commit(),
        "load": load,
        "seconds": time.perf_counter() - started,
        "rows": rows,
    }


def _said_by(command: list[str], longest_seconds: float) -> str:
    """What a process and its children print; its own progress goes on to stderr."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # so that it can be ended with all that it has started
        )
        try:
            said, _ = process.communicate(timeout=longest_seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            raise BenchmarkError(f"it took more than {longest_seconds:g} s") from None
        except BaseException:
            _end(process)
            raise
        errors.seek(0)
        complaint = errors.read()
    if process.returncode:
        last = (complaint.strip().splitlines() or ["it said nothing"])[-1]
        raise BenchmarkError(f"exit code {process.returncode}, {last}")
    return said


def _end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()  # waits, and closes the pipe


def empty_document(*, quick: bool) -> dict[str, Any]:
    """A document with nothing measured."""
    return {
        "quick": quick,
        "machine": machine(),
        "versions": versions(),
        "benchmarks": [],
        "not_run": [
            {"name": benchmark.name, "reason": "not asked for"} for benchmark in BENCHMARKS
        ],
    }


def continued(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The document at `path` if it was made under the conditions of `document`, or else the latter.

    What has no place among the benchmarks any more is left out.
    """
    if not path.exists():
        return document
    before = json.loads(path.read_text(encoding="utf-8"))
    for condition in ("quick", "machine", "versions"):
        if before[condition] != document[condition]:
            print(f"earlier figures dropped: another {condition} then", file=sys.stderr)
            return document
    names = [benchmark.name for benchmark in BENCHMARKS]
    for kind in ("benchmarks", "not_run"):
        document[kind] = [entry for entry in before[kind] if entry["name"] in names]
    there = {entry["name"] for kind in ("benchmarks", "not_run") for entry in document[kind]}
    missing = [{"name": name, "reason": "not asked for"} for name in names if name not in there]
    document["not_run"] += missing
    return document


def in_order(document: dict[str, Any]) -> dict[str, Any]:
    """The same, in the order of the list of benchmarks."""
    place = {benchmark.name: number for number, benchmark in enumerate(BENCHMARKS)}
    for kind in ("benchmarks", "not_run"):
        document[kind].sort(key=lambda entry: place.get(entry["name"], len(place)))
    return document


def machine() -> str:
    """Processor, cores, memory and system."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = next(named, platform.machine())
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def versions() -> dict[str, str | None]:
    """Of Python and of what is measured; None for what is not installed."""
    found: dict[str, str | None] = {"Python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = None
    return found


def commit() -> str:
    """Of the working copy, with a plus sign if it has changes."""
    git = ["git", "-C", str(ROOT)]
    try:
        head, changed = (
            subprocess.run([*git, *words], check=True, capture_output=True, text=True).stdout
            for words in (
                ("rev-parse", "--short", "HEAD"),
                ("status", "--porcelain", "--", ":!docs"),  # where the page itself is
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.strip() + ("+" if changed else "")


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 if any failed."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--quick", action="store_true", help="show that all run; figures mean nothing"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the page, with the JSON document beside it; by default docs/benchmarks.md, and in a "
        "quick run stdout",
    )
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    arguments = parser.parse_args(argv)
    if arguments.list:
        for benchmark in BENCHMARKS:
            print(f"{benchmark.name}: {benchmark.compares}")
        return 0
    out = arguments.out or (None if arguments.quick else PAGE)
    document = empty_document(quick=arguments.quick)
    if out is not None:
        document = continued(out.with_suffix(".json"), document)

    def write(document: dict[str, Any]) -> None:
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(in_order(document), indent=1, allow_nan=False)
            out.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")
            out.write_text(page(document), encoding="utf-8")

    chosen = [benchmark for benchmark in BENCHMARKS if benchmark.name in arguments.only]
    num_failed = run_all(chosen, document, quick=arguments.quick, write=write)
    if out is None:
        print(page(in_order(document)))
    else:
        print(f"{out}\n{out.with_suffix('.json')}")
    return EXIT_FAILED if num_failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kills a sweep again and again, and holds what is left of it against one that was let alone.

    python -m benchmarks.chaos --work DIR [--driver-kills 20] [--trial-kills 20] [--seed 0]

Three sweeps of the same spec and seed, one trial at a time, of a training so small that starting
processes takes most of the time:

- one that nothing happens to;
- one whose driver is killed (SIGKILL) at random moments, alone or with all of Ray's processes, and
  resumed each time;
- one whose trials' processes are killed at random moments while the driver lives.

Then every trial must be in a final state, none that had ended may have changed since, and the
settings, states, kimg and scores of all trials, and so the stopping decisions and the table, must
be those of the first sweep. What was done and found is written to docs/sweeps/chaos.md and .json;
`--join A.json B.json` does so for runs that were made apart, each beside a sweep let alone.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SPEC = """\
data: {{name: digits}}
training: {{preset: digits, total_kimg: 2, batch_size: 32}}
search:
  generator.num_heads: {{choice: [2, 4]}}
  optimizer.generator_lr: {{loguniform: [5.0e-4, 4.0e-3]}}
  optimizer.discriminator_lr: {{loguniform: [5.0e-4, 4.0e-3]}}
  loss.name: {{choice: [nonsaturating, hinge]}}
sampler: {{name: tpe, seed: {seed}, startup_trials: 4}}
early_stopping: {{name: asha, grace_kimg: 0.5, reduction_factor: 2}}
evaluation: {{extractor: classifier, metrics: [fd], num_images: 101}}
budget: {{trials: {trials}, concurrent_trials: 1}}
faults: {{retries: 1000, same_failures: null}}
"""
TABLE = ("settings", "state", "kimg", "seed", "scores", "findings", "cause")
"""What of a trial's record must not depend on what happened to the sweep."""
WAIT_SECONDS = 3600.0
"""For one sweep at most, also on a slow machine that has more to do."""


@dataclass
class Chaos:
    """What was done to one sweep, and what became of it."""

    what: str
    kills: list[str] = field(default_factory=list)
    seconds: float = 0.0
    states: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    faults: list[str] = field(default_factory=list)
    """What is wrong; empty where all is well."""


def start(work: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A tg-sweep command of this tree, its words going to `log.txt`."""
    with (work / "log.txt").open("ab") as log:  # the process has it for its own
        return subprocess.Popen(
            [sys.executable, "-c", "from sweeps.cli import main; main()", *arguments],
            cwd=work,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def descendants(pid: int) -> list[int]:
    """A process and all that it has started, as /proc knows them."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def kill(*pids: int) -> None:
    """SIGKILL to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def records(run: Path) -> dict[str, dict[str, Any]]:
    """The records of all trials, by name."""
    paths = sorted(run.glob("trials/*/record.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def is_final(record: dict[str, Any]) -> bool:
    """Whether a trial has ended."""
    return record["state"] not in ("running", "interrupted")


def table(run: Path) -> dict[str, dict[str, Any]]:
    """What must not depend on what happened, by trial."""
    return {name: {key: r[key] for key in TABLE} for name, r in records(run).items()}


def worker(run: Path) -> int | None:
    """The process that trains the trial which runs now; None where none does."""
    for name, record in records(run).items():
        if record["state"] == "running":
            try:
                text = (run / "trials" / name / ".lock").read_text(encoding="utf-8")
                pid = int(json.loads(text)["pid"])
            except (OSError, ValueError):
                return None
            return pid if Path(f"/proc/{pid}").exists() else None
    return None


def let_alone(work: Path) -> Chaos:
    """The sweep that nothing happens to."""
    chaos, started = Chaos("let alone"), time.monotonic()
    code = start(work, "run", "spec.yaml", "--out", "alone", "--no-dashboard").wait(WAIT_SECONDS)
    if code:
        chaos.faults.append(f"exit code {code}")
    return _closed(chaos, work / "alone", started)


def kill_drivers(work: Path, kills: int, rng: random.Random, trial_seconds: float) -> Chaos:
    """Kill the driver at random moments, alone or with all of Ray; resume each time.

    Two thirds of the moments lie within 1.2 times what a trial takes after the first one runs, so
    that about every third resume brings one to its end; the others while things are prepared.
    """
    chaos, started = Chaos("driver killed"), time.monotonic()
    run, ended = work / "driver", dict[str, dict[str, Any]]()
    while len(chaos.kills) < kills:
        first = not (run / "sweep.yaml").exists()
        words = ("run", "spec.yaml", "--out", "driver") if first else ("resume", "driver")
        process = start(work, *words, "--no-dashboard")
        begun = time.monotonic()
        if rng.random() < 2 / 3:
            _wait_for_worker(run, process)
            moment = time.monotonic() + rng.uniform(0, 1.2 * trial_seconds)
        else:
            moment = begun + rng.uniform(0.5, 2 * trial_seconds)
        _wait_until(moment, process)
        if process.poll() is not None:
            chaos.faults.append(f"exit code {process.returncode} before kill {len(chaos.kills)}")
            break
        whole = rng.random() < 0.5
        kill(*(descendants(process.pid) if whole else [process.pid]))
        process.wait()
        states = [record["state"] for record in records(run).values()]
        chaos.kills.append(
            f"{time.monotonic() - begun:.1f} s after the start of `{words[0]}`, "
            f"{'driver and all of Ray' if whole else 'driver alone'}, "
            f"{sum(map(is_final, records(run).values()))} trials ended, "
            f"{states.count('running')} running"
        )
        ended = _unchanged(chaos, ended, run)
    code = start(work, "resume", "driver", "--no-dashboard").wait(WAIT_SECONDS)
    if code:
        chaos.faults.append(f"exit code {code} of the last resume")
    _unchanged(chaos, ended, run)
    return _closed(chaos, run, started)


def kill_trials(work: Path, kills: int, rng: random.Random, trial_seconds: float) -> Chaos:
    """Kill processes of single trials at random moments, and never the driver."""
    chaos, started = Chaos("trial killed"), time.monotonic()
    run, ended = work / "trial", dict[str, dict[str, Any]]()
    process = start(work, "run", "spec.yaml", "--out", "trial", "--no-dashboard")
    seen: set[int] = set()
    while process.poll() is None:
        pid = worker(run)
        if pid is None or pid in seen or len(chaos.kills) >= kills:
            time.sleep(0.05)
            continue
        seen.add(pid)
        if rng.random() < 0.2:  # a trial is not killed for ever
            continue
        moment = time.monotonic() + rng.uniform(0, 0.2 * trial_seconds)
        _wait_until(moment, process)
        if worker(run) == pid:
            kill(pid)
            count = sum(map(is_final, records(run).values()))
            chaos.kills.append(f"process {len(seen)}, {count} trials ended")
            ended = _unchanged(chaos, ended, run)
    if process.returncode:
        chaos.faults.append(f"exit code {process.returncode}")
    if len(chaos.kills) < kills:
        chaos.faults.append(f"over after {len(chaos.kills)} kills")
    _unchanged(chaos, ended, run)
    return _closed(chaos, run, started)


def seconds_per_trial(run: Path) -> float:
    """What a trial takes here, from the start of its process to the next one's."""
    found = records(run).values()
    first = min(datetime.datetime.fromisoformat(record["started_at"]) for record in found)
    last = max(datetime.datetime.fromisoformat(record["ended_at"]) for record in found)
    return max((last - first).total_seconds() / len(found), 1.0)


def _unchanged(
    chaos: Chaos, ended: dict[str, dict[str, Any]], run: Path
) -> dict[str, dict[str, Any]]:
    """The trials that have ended by now; one that had ended before must be the same."""
    current = records(run)
    for name, record in ended.items():
        if current.get(name) != record:
            chaos.faults.append(f"trial {name} changed after it had ended")
    return {name: record for name, record in current.items() if is_final(record)}


def _closed(chaos: Chaos, run: Path, started: float) -> Chaos:
    chaos.seconds = round(time.monotonic() - started, 1)
    for name, record in records(run).items():
        chaos.attempts += record["attempts"]
        chaos.states[record["state"]] = chaos.states.get(record["state"], 0) + 1
        if not is_final(record):
            chaos.faults.append(f"trial {name} is {record['state']}")
    if not (run / "report.html").exists():
        chaos.faults.append("there is no report")
    return chaos


def _wait_for_worker(run: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a trial's process is at work, the driver has ended, or for very long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while worker(run) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


def _wait_until(moment: float, process: subprocess.Popen[bytes]) -> None:
    """Wait for a moment, or until the driver has ended."""
    while time.monotonic() < moment and process.poll() is None:
        time.sleep(0.05)


def compare(chaos: Chaos, run: Path, alone: Path) -> None:
    """Note where a sweep's table is not that of the one that was let alone."""
    expected, found = table(alone), table(run)
    if expected.keys() != found.keys():
        chaos.faults.append(f"trials {sorted(found)}, but {sorted(expected)} if let alone")
    for name in expected.keys() & found.keys():
        for key in TABLE:
            if expected[name][key] != found[name][key]:
                chaos.faults.append(
                    f"trial {name}: {key} is {found[name][key]}, but {expected[name][key]} if let "
                    "alone"
                )


def page(outcomes: list[Chaos], trials: int, seed: int) -> str:
    """The page: what was done, and what came of it."""
    lines = [
        "# A sweep that is killed again and again",
        "",
        f"Written by `python -m benchmarks.chaos` (seed {seed}): {trials} trials of a tiny "
        "training on the digits, one at a time, TPE and ASHA. What a trial is compared by: "
        f"{', '.join(TABLE)}; scores to the last bit.",
        "",
        "| sweep | kills (SIGKILL) | attempts at trials | seconds | ends | same as let alone |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for chaos in outcomes:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(chaos.states.items()))
        same = "no: see below" if chaos.faults else "yes"
        lines.append(
            f"| {chaos.what} | {len(chaos.kills)} | {chaos.attempts} | {chaos.seconds:.0f} | "
            f"{ends} | {same} |"
        )
    lines += [
        "",
        "Every trial is in a final state, and the records of trials that had ended before a kill "
        "are, byte for byte of their values, what they were."
        if not any(chaos.faults for chaos in outcomes)
        else "Not all is as it should be.",
    ]
    for chaos in outcomes:
        if chaos.kills or chaos.faults:
            lines += ["", f"## {chaos.what}", ""]
            lines += [f"- **wrong**: {fault}" for fault in chaos.faults]
            lines += [f"{number}. {text}" for number, text in enumerate(chaos.kills, start=1)]
    return "\n".join(lines) + "\n"


def run_chaos(
    work: Path, *, driver_kills: int, trial_kills: int, seed: int, trials: int
) -> list[Chaos]:
    """All three sweeps below `work`, and what was found; those without kills are left out."""
    work.mkdir(parents=True)
    (work / "spec.yaml").write_text(SPEC.format(seed=seed, trials=trials), encoding="utf-8")
    outcomes = [let_alone(work)]
    for name, act, kills in (
        ("driver", kill_drivers, driver_kills),
        ("trial", kill_trials, trial_kills),
    ):
        if kills:
            pace = seconds_per_trial(work / "alone")
            chaos = act(work, kills, random.Random(f"{seed}/{name}"), pace)
            compare(chaos, work / name, work / "alone")
            outcomes.append(chaos)
            print(json.dumps(asdict(chaos), indent=1), file=sys.stderr, flush=True)
    return outcomes


def joined(documents: list[Path]) -> list[Chaos]:
    """The outcomes of runs that were made apart; of the sweeps let alone, the first."""
    found: dict[str, Chaos] = {}
    for path in documents:
        for values in json.loads(path.read_text(encoding="utf-8"))["sweeps"]:
            chaos = Chaos(**values)
            if chaos.what != "let alone" or chaos.what not in found:
                found[chaos.what] = chaos
    return list(found.values())


def main() -> int:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="a new folder for the sweeps")
    parser.add_argument(
        "--join", type=Path, nargs="+", default=[], help="documents of earlier runs"
    )
    parser.add_argument("--driver-kills", type=int, default=20)
    parser.add_argument("--trial-kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "sweeps")
    given = parser.parse_args()
    if given.work and given.work.exists():
        parser.error(f"--work: {given.work} is there already; name a folder that is not")
    if given.join:
        outcomes = joined(given.join)
    elif given.work:
        outcomes = run_chaos(
            given.work,
            driver_kills=given.driver_kills,
            trial_kills=given.trial_kills,
            seed=given.seed,
            trials=given.trials,
        )
    else:
        parser.error("give --work, or --join")
    given.out.mkdir(parents=True, exist_ok=True)
    text = page(outcomes, given.trials, given.seed)
    (given.out / "chaos.md").write_text(text, encoding="utf-8")
    document = {
        "seed": given.seed,
        "trials": given.trials,
        "table": TABLE,
        "sweeps": [asdict(chaos) for chaos in outcomes],
    }
    (given.out / "chaos.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return int(any(chaos.faults for chaos in outcomes))


if __name__ == "__main__":
    sys.exit(main())

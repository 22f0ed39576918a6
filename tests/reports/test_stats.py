"""Training statistics: what is whole is read, what is not is counted."""

from __future__ import annotations

from pathlib import Path

from reports.stats import TrialStats, read_stats


def test_half_written_and_foreign_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    path.write_bytes(
        b'{"kimg": 1, "d_loss": 0.5}\n[1, 2]\n{"kimg": "2"}\n{"kimg": 3}\n{"kimg": 4, "d_lo'
    )
    stats = read_stats(path)
    assert [entry["kimg"] for entry in stats.entries] == [1, 3]
    assert stats.num_unreadable == 3


def test_line_broken_in_two_is_two_unreadable_lines(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    path.write_text('{"kimg": 1,\n"d_loss": 2}\n{"kimg": 2}\n')
    stats = read_stats(path)
    assert [entry["kimg"] for entry in stats.entries] == [2]
    assert stats.num_unreadable == 2


def test_later_attempt_counts(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    path.write_text(
        "".join(f'{{"kimg": {kimg}, "at": {at}}}\n' for at, kimg in enumerate([1, 2, 3, 2, 3, 4]))
    )
    assert [entry["at"] for entry in read_stats(path).entries] == [0, 3, 4, 5]


def test_no_file_is_no_line(tmp_path: Path) -> None:
    assert read_stats(tmp_path / "stats.jsonl") == TrialStats()

"""What tensors give back stays with a process that trains, unless its user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from transgan.training import freed_memory

pytestmark = pytest.mark.skipif(freed_memory._glibc() is None, reason="another C library")

COUNTING = """
import ctypes, resource

PR_SET_THP_DISABLE = 41
ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)  # pages are small ones, whatever is usual

import torch
from transgan.training.freed_memory import hand_back_freed_memory, keep_freed_memory

def asked_mb():
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return pages * resource.getpagesize() // 2**20

def resident_mb():
    fields = dict(line.split(":") for line in open("/proc/self/status"))
    return int(fields["VmRSS"].split()[0]) // 1024
"""
FILLING = """
def fill():  # 200 MB in ten tensors
    tensors = [torch.ones(5 << 20) for _ in range(10)]

fill(), fill()
before = asked_mb()
for _ in range(5):
    fill()
print((asked_mb() - before) // 5)
"""


def printed(code: str, **environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    clean.pop("GLIBC_TUNABLES", None)
    clean.pop("LD_PRELOAD", None)
    clean |= {"OMP_NUM_THREADS": "1"} | environment  # as trials have it
    done = subprocess.run(
        [sys.executable, "-c", COUNTING + code],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=clean,
    )
    return done.stdout.split()


def test_kept_memory_is_not_asked_for_again() -> None:
    kept, asked = printed("print(keep_freed_memory())" + FILLING)
    assert kept == "True"
    assert int(asked) < 20  # of 200 MB each time


def test_what_is_kept_can_be_handed_back() -> None:
    code = "keep_freed_memory()" + FILLING + "held = resident_mb(); hand_back_freed_memory()"
    _, freed = map(int, printed(code + "; print(held - resident_mb())"))
    assert freed > 150


@pytest.mark.parametrize(
    "environment",
    [
        {"MALLOC_TRIM_THRESHOLD_": "1048576"},
        {"MALLOC_MMAP_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2:glibc.malloc.mmap_threshold=131072"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_users_own_limits_stay(environment: dict[str, str]) -> None:
    kept, asked = printed("print(keep_freed_memory())" + FILLING, **environment)
    assert kept == "False"
    assert int(asked) > 150


def test_other_settings_of_the_allocator_are_no_limits() -> None:
    kept, _ = printed("print(keep_freed_memory())" + FILLING, MALLOC_ARENA_MAX="2")
    assert kept == "True"


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freed_memory, "_glibc", lambda: None)
    assert freed_memory.keep_freed_memory.__wrapped__() is False
    freed_memory.hand_back_freed_memory()


@pytest.mark.slow
def test_training_asks_for_no_memory_once_it_has_it() -> None:
    code = """
from transgan.presets import preset_config
from transgan.training.trainer import Trainer

trainer = Trainer(preset_config("photos"), torch.zeros(64, 3, 32, 32, dtype=torch.uint8))
for _ in trainer.run(0.768, 0.256):
    print(asked_mb())
"""
    _, second, third = map(int, printed(code))
    assert third - second < 40  # of eight steps, 300 where nothing is kept

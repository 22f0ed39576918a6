"""What this machine can do: devices, libraries, weights, data sets, cache folder, cluster."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import torch

from evaluation.agreement.check import Check
from evaluation.agreement.ladder import climb
from evaluation.dinov2_weights import Dinov2WeightsError, find_dinov2_weights
from evaluation.inception_weights import (
    INCEPTION_FILES,
    INCEPTION_SHA256,
    INCEPTION_VARIABLE,
    locate_inception_weights,
)
from evaluation.protocol import FrozenModel
from evaluation.storage import file_sha256
from sweeps.memory import GB
from sweeps.plan import available_cpus
from sweeps.shadowing import ShadowedPackageError, check_working_directory
from transgan.data import DataError
from transgan.data.cache_folder import CACHE_VARIABLE, cache_folder

LIBRARIES = ("torch", "torchvision", "torch-fidelity", "numpy", "ray", "optuna")
CIFAR10_FILE = Path("cifar-10-batches-py", "test_batch")
DATA_FILES: dict[str, tuple[Path, ...]] = {
    "cifar10": (CIFAR10_FILE, Path("cifar-10-python.tar.gz")),
    "stl10": (Path("stl10_binary", "test_X.bin"), Path("stl10_binary.tar.gz")),
    "celeba": (Path("img_align_celeba"), Path("img_align_celeba.zip")),
}
"""Below the data set's folder in the cache; any of them will do."""

State = Literal["ok", "absent", "failed"]


class Finding(FrozenModel):
    """One thing that was looked at."""

    topic: str
    state: State
    """`absent` is no fault: it was not there, and what needs it will say so. `failed` is one."""
    text: str
    """What was found, and where something is to be done, what."""


def examine(address: str | None = None) -> Iterator[Finding]:
    """Look at the machine; nothing is downloaded and nothing is started.

    Args:
        address: Ray cluster to join, and leave again; by default none is looked for.
    """
    yield Finding(topic="versions", state="ok", text=_versions())
    yield Finding(topic="CPU", state="ok", text=f"{available_cpus()} cores, {_memory()}")
    yield from _gpus()
    yield _ray(address)
    yield _inception()
    yield _dinov2()
    yield from _data_sets()
    yield _cache()


def ladder(*, quick: bool) -> Iterator[Check]:
    """The ladder of agreement, with what this machine has for its golden values."""
    weights = locate_inception_weights()
    verified = weights is not None and file_sha256(weights) == INCEPTION_SHA256
    folder = _data_folder("cifar10")
    has_cifar10 = folder is not None and (folder / CIFAR10_FILE).is_file()
    return climb(
        quick=quick,
        cifar10=folder if has_cifar10 else None,
        weights=weights if verified else None,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def _versions() -> str:
    said = [f"Python {platform.python_version()}"]
    for library in ("tg-sweep", *LIBRARIES):
        try:
            said.append(f"{library} {version(library)}")
        except PackageNotFoundError:  # run from its source
            continue
    return ", ".join(said)


def _memory() -> str:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    free = os.sysconf("SC_AVPHYS_PAGES")
    return f"{pages * page / GB:.1f} GB of memory, {free * page / GB:.1f} GB of it unused"


def _gpus() -> Iterator[Finding]:
    if not torch.cuda.is_available():
        yield Finding(topic="GPU", state="absent", text="none; trials train on the CPU")
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        with torch.cuda.device(index):
            bfloat16 = "bfloat16" if torch.cuda.is_bf16_supported() else "no bfloat16"
        memory = f"{properties.total_memory / GB:.1f} GB"
        text = f"{index}: {properties.name}, {memory}, {bfloat16}"
        yield Finding(topic="GPU", state="ok", text=text)


def _ray(address: str | None) -> Finding:
    from sweeps.cluster import ClusterError, open_cluster

    try:
        if address is None:
            check_working_directory()
            text = "a sweep starts it on this machine; --address tries a cluster"
            return Finding(topic="Ray", state="ok", text=text)
        with open_cluster(address, dashboard=False) as cluster:
            text = f"{address} answers: {cluster.cpus} CPUs, {cluster.gpus} GPUs"
            return Finding(topic="Ray", state="ok", text=text)
    except (ClusterError, ShadowedPackageError) as error:
        return Finding(topic="Ray", state="failed", text=str(error))


def _inception() -> Finding:
    topic, path = "Inception weights", locate_inception_weights()
    if path is None:
        named = os.environ.get(INCEPTION_VARIABLE)
        checkpoints = Path(torch.hub.get_dir()) / "checkpoints"
        place = named or f"{checkpoints / INCEPTION_FILES[0]}"
        text = f"none at {place}; without them there is no FID, KID or IS"
        return Finding(topic=topic, state="failed" if named else "absent", text=text)
    actual = file_sha256(path)
    if actual != INCEPTION_SHA256:
        text = (
            f"{path} holds other weights (SHA-256 {actual[:12]}…, official "
            f"{INCEPTION_SHA256[:12]}…); a distance taken with them is no FID: replace the file"
        )
        return Finding(topic=topic, state="failed", text=text)
    return Finding(topic=topic, state="ok", text=f"{path}, SHA-256 verified")


def _dinov2() -> Finding:
    try:
        path = find_dinov2_weights()
    except Dinov2WeightsError as error:
        return Finding(topic="DINOv2 weights", state="absent", text=str(error))
    return Finding(topic="DINOv2 weights", state="ok", text=str(path))


def _data_sets() -> Iterator[Finding]:
    yield Finding(topic="data sets", state="ok", text="digits, photos: scikit-learn carries them")
    for name, files in DATA_FILES.items():
        folder = _data_folder(name)
        if folder is None:
            continue  # there is no cache folder, and that is a finding of its own
        found = next((folder / file for file in files if (folder / file).exists()), None)
        if found:
            yield Finding(topic="data sets", state="ok", text=f"{name}: {found}")
        else:
            text = f"{name}: not in {folder}; a sweep of it downloads it"
            yield Finding(topic="data sets", state="absent", text=text)


def _data_folder(name: str) -> Path | None:
    try:
        return cache_folder() / name
    except DataError:
        return None


def _cache() -> Finding:
    try:
        folder = cache_folder()
    except DataError as error:
        return Finding(topic="cache folder", state="failed", text=str(error))
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        text = f"{folder} can't be written; set {CACHE_VARIABLE} to a folder that can"
        return Finding(topic="cache folder", state="failed", text=text)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    free = shutil.disk_usage(there).free
    text = f"{folder}: {size / GB:.2f} GB, {free / GB:.1f} GB free on its disk"
    return Finding(topic="cache folder", state="ok", text=text)

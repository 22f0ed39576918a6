"""The cache: decoded once, never wrong, never half written, the same for all processes."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from PIL import Image

from transgan.data import DataError, ImageData, load_data
from transgan.data.cache_folder import cache_folder
from transgan.data_config import DataConfig

Load = Callable[..., ImageData]
ErrorOf = Callable[..., str]


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "images").glob("*.safetensors"))


def only_entry(cache: Path) -> Path:
    (path,) = entries(cache)
    return path


def everything(data: ImageData) -> torch.Tensor:
    return torch.cat([data.train_images, data.held_out_images])


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, no picture can be opened."""

    def forbid() -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a picture was opened")

        monkeypatch.setattr(Image, "open", refuse)

    return forbid


def test_second_load_reads_no_picture(
    pictures: Path, cache: Path, load: Load, unreadable: Callable[[], None]
) -> None:
    first = load(pictures)
    written = only_entry(cache).stat().st_mtime_ns
    unreadable()
    assert torch.equal(everything(load(pictures)), everything(first))
    assert only_entry(cache).stat().st_mtime_ns == written


def test_touched_files_are_read_but_not_decoded_again(
    pictures: Path, cache: Path, load: Load, unreadable: Callable[[], None]
) -> None:
    first = load(pictures)
    for file in pictures.iterdir():
        os.utime(file)
    unreadable()
    assert torch.equal(everything(load(pictures)), everything(first))
    assert len(entries(cache)) == 1


def test_moved_and_zipped_files_share_the_entry_under_another_name(
    pictures: Path, cache: Path, load: Load, zipped: Callable[..., Path]
) -> None:
    load(pictures)
    load(zipped(pictures))
    moved = load(pictures.rename(pictures.with_name("moved")))
    assert moved.name == "moved"
    assert len(entries(cache)) == 1


def test_changed_pixel_is_noticed_even_when_the_times_are_set_back(
    pictures: Path, load: Load
) -> None:
    for number, file in enumerate(sorted(pictures.iterdir())):
        file.unlink()  # uncompressed, so that another colour is no other size
        Image.new("RGB", (13, 11), (number, 90, 90)).save(file.with_suffix(".bmp"))
    before = load(pictures)
    file = pictures / "0007.bmp"
    status = file.stat()
    Image.new("RGB", (13, 11), (1, 2, 3)).save(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    after = load(pictures)
    assert not torch.equal(everything(after), everything(before))
    assert (everything(after)[:, :, 2, 2] == torch.tensor([1, 2, 3])).all(dim=1).any()


@pytest.mark.parametrize("change", ["rename", "remove", "add"])
def test_other_names_are_other_data(pictures: Path, cache: Path, load: Load, change: str) -> None:
    load(pictures)
    file = pictures / "0007.png"
    match change:
        case "rename":
            file.rename(pictures / "9999.png")
        case "remove":
            file.unlink()
        case _:
            (pictures / "new.png").write_bytes(file.read_bytes())
    load(pictures)
    assert len(entries(cache)) == 2


def test_each_size_has_its_entry(pictures: Path, cache: Path, load: Load) -> None:
    assert [load(pictures, size).image_size for size in (5, 7, 5)] == [5, 7, 5]
    assert len(entries(cache)) == 2


def cut(content: bytes) -> bytes:
    return content[:-1]


def longer(content: bytes) -> bytes:
    return content + b"\0"


def empty(_: bytes) -> bytes:
    return b""


def other_shape(content: bytes) -> bytes:
    return content.replace(b"[86, 3, 5, 5]", b"[86, 5, 3, 5]")


def other_key(content: bytes) -> bytes:
    at = content.index(b'"key": "') + 8
    return content[:at] + b"f" * 64 + content[at + 64 :]


def no_header(content: bytes) -> bytes:
    return content[:8] + b" " * 4088 + content[4096:]


def other_length(content: bytes) -> bytes:
    return b"\xff" * 8 + content[8:]


@pytest.mark.parametrize(
    "damage",
    [cut, longer, empty, other_shape, other_key, no_header, other_length],
    ids=lambda damage: damage.__name__,
)
def test_damaged_entry_is_made_anew(
    pictures: Path, cache: Path, load: Load, damage: Callable[[bytes], bytes]
) -> None:
    first = load(pictures).fingerprint()
    path = only_entry(cache)
    intact = path.read_bytes()
    path.write_bytes(damage(intact))
    assert path.read_bytes() != intact
    assert load(pictures).fingerprint() == first
    assert path.read_bytes() == intact


def test_damaged_note_of_the_content_is_made_anew(pictures: Path, cache: Path, load: Load) -> None:
    first = load(pictures).fingerprint()
    (note,) = (cache / "index").iterdir()
    for damage in (b"", b"\xff\0", b"f" * 63):
        note.write_bytes(damage)
        assert load(pictures).fingerprint() == first
    assert len(entries(cache)) == 1


def test_what_a_killed_builder_left_does_not_matter(
    pictures: Path, cache: Path, load: Load
) -> None:
    first = load(pictures).fingerprint()
    path = only_entry(cache)
    path.rename(path.with_suffix(".partial"))
    with path.with_suffix(".partial").open("ab") as file:
        file.write(bytes(7919))
    assert load(pictures).fingerprint() == first
    assert not path.with_suffix(".partial").exists()


def test_entry_is_a_safetensors_file(pictures: Path, cache: Path, load: Load) -> None:
    data = load(pictures)
    tensors = safetensors.torch.load_file(only_entry(cache))
    assert tensors.keys() == {"train_images", "held_out_images"}
    assert torch.equal(tensors["train_images"], data.train_images)
    assert torch.equal(tensors["held_out_images"], data.held_out_images)


def test_images_are_mapped_and_what_is_written_to_them_stays_in_the_process(
    pictures: Path, cache: Path, load: Load
) -> None:
    data = load(pictures)
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(only_entry(cache)) in maps.read_text()
    before = only_entry(cache).read_bytes()
    data.train_images.fill_(7)
    assert only_entry(cache).read_bytes() == before
    assert (load(pictures).train_images != 7).any()


def test_entry_that_is_replaced_leaves_those_who_use_it_alone(
    pictures: Path, cache: Path, load: Load
) -> None:
    data = load(pictures)
    expected = everything(data).clone()
    only_entry(cache).unlink()
    load(pictures)
    assert torch.equal(everything(data), expected)


BUILD = """
import sys
from PIL import Image
from transgan.data_config import DataConfig
from transgan.data import load_data

opened, true_open = [], Image.open
Image.open = lambda *args, **kwargs: opened.append(1) or true_open(*args, **kwargs)
print("ready", flush=True)
sys.stdin.readline()
print(load_data(DataConfig(name=sys.argv[1], image_size=29)).fingerprint(), len(opened))
"""


@pytest.mark.slow
def test_of_processes_that_want_the_same_entry_at_once_one_decodes_it(
    tmp_path: Path, fill: Callable[..., Path], cache: Path
) -> None:
    folder = fill(tmp_path / "many", 2003)
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        for _ in range(2)
    ]
    for builder in builders:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "ready\n"
    for builder in builders:
        assert builder.stdin is not None
        builder.stdin.write("go\n")
        builder.stdin.flush()
    outputs = [builder.communicate(timeout=300)[0].split() for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    (first, first_opened), (second, second_opened) = outputs
    assert sorted([int(first_opened), int(second_opened)]) == [0, 2003]
    loaded = load_data(DataConfig(name=str(folder), image_size=29))
    assert first == second == loaded.fingerprint()
    only_entry(cache)


def test_files_that_change_while_they_are_decoded_are_refused(
    pictures: Path, tmp_path: Path, cache: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(pictures, 5)  # their content is on note
    spare = tmp_path / "spare.png"
    spare.write_bytes((pictures / "0001.png").read_bytes())
    true_open = Image.open

    def change_and_open(*arguments: Any, **options: Any) -> Image.Image:
        with contextlib.suppress(FileNotFoundError):  # has been moved already
            spare.replace(pictures / "0106.png")
        return true_open(*arguments, **options)

    monkeypatch.setattr(Image, "open", change_and_open)
    with pytest.raises(DataError, match="changed while it was read; start again"):
        load(pictures, 7)
    assert len(entries(cache)) == 1


def test_cache_that_can_not_be_written_names_the_way_out(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error_of: ErrorOf
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    monkeypatch.setenv("TG_SWEEP_CACHE", str(file))
    message = error_of(pictures)
    assert f"the cache folder {file} can't be used (Not a directory)" in message
    assert "set TG_SWEEP_CACHE to a folder that can be written" in message


def test_cache_without_room_is_said_before_anything_is_decoded(
    pictures: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, error_of: ErrorOf
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert "can't be used (0.0 GB wanted, 0.0 free); set TG_SWEEP_CACHE" in error_of(pictures)
    assert not list((cache / "images").glob("*.partial"))


def test_cache_folder_is_the_variables_or_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TG_SWEEP_CACHE", "~/images")
    assert cache_folder() == tmp_path / "images"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TG_SWEEP_CACHE", "here")
    assert cache_folder() == tmp_path / "here"
    for unset in (
        lambda: monkeypatch.setenv("TG_SWEEP_CACHE", ""),
        lambda: monkeypatch.delenv("TG_SWEEP_CACHE"),
    ):
        unset()
        assert cache_folder() == tmp_path / ".cache" / "tg-sweep"


def test_pickle_is_a_reference_to_the_same_file(
    pictures: Path, load: Load, unreadable: Callable[[], None]
) -> None:
    data = load(pictures, 61)
    content = pickle.dumps(data)
    assert data.train_images.nbytes > 900_000
    assert len(content) < 1_000
    unreadable()
    again = pickle.loads(content)
    assert torch.equal(everything(again), everything(data))
    assert (again.name, again.description) == (data.name, data.description)
    assert len(pickle.dumps(again)) < 1_000


def test_pickle_on_a_machine_without_the_cache_is_decoded_from_the_source_there(
    pictures: Path, cache: Path, load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(pictures.parent)
    data = load(pictures.name)
    content = pickle.dumps(data)
    cache.rename(cache.with_name(f"{cache.name}-elsewhere"))
    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")  # Ray's workers have folders of their own
    monkeypatch.setenv("TG_SWEEP_CACHE", str(tmp_path / "local"))
    again = pickle.loads(content)
    assert again.fingerprint() == data.fingerprint()
    assert entries(tmp_path / "local")
    pictures.rename(tmp_path / "moved")  # the next worker there needs no source
    assert pickle.loads(content).fingerprint() == data.fingerprint()


def test_pickle_is_rebuilt_in_the_same_cache_where_only_the_entry_is_gone(
    pictures: Path, cache: Path, load: Load
) -> None:
    data = load(pictures)
    content, path = pickle.dumps(data), only_entry(cache)
    path.unlink()
    assert pickle.loads(content).fingerprint() == data.fingerprint()
    assert path.exists()


def test_pickle_without_cache_and_source_is_one_clear_error(
    pictures: Path, cache: Path, load: Load
) -> None:
    content = pickle.dumps(load(pictures))
    only_entry(cache).unlink()
    pictures.rename(pictures.with_name("moved"))
    with pytest.raises(DataError) as caught:
        pickle.loads(content)
    assert f"data.name: {pictures}: no such folder or zip file" in str(caught.value)
    assert f"(the images were not decoded yet in {cache} of this machine)" in str(caught.value)


def test_pickle_whose_source_holds_other_images_is_refused(
    pictures: Path, cache: Path, load: Load
) -> None:
    content = pickle.dumps(load(pictures))
    only_entry(cache).unlink()
    (pictures / "0007.png").unlink()
    with pytest.raises(DataError, match="holds other images here than where the sweep was started"):
        pickle.loads(content)

"""Another's package in place of one of ours is named in one line, whatever way it came there."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tg_sweep import PACKAGES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
ENTRY = "import sys; from tg_sweep import main; sys.argv = ['tg-sweep', '--help']; sys.exit(main())"
Done = subprocess.CompletedProcess[str]


def started(*command: str | Path, cwd: Path, search: tuple[Path, ...]) -> Done:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, search))}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def one_line(done: Done) -> str:
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("package", PACKAGES)
def test_folder_in_pythonpath_is_named_with_the_way_out(tmp_path: Path, package: str) -> None:
    theirs = tmp_path / package / "__init__.py"
    theirs.parent.mkdir()
    theirs.write_text("raise ImportError('from deep inside')\n", encoding="utf-8")
    done = started(sys.executable, "-c", ENTRY, cwd=ROOT, search=(tmp_path, ROOT))
    # A folder of `-c`, the working directory, comes before PYTHONPATH.
    assert done.returncode == 0
    empty = tmp_path / "empty"
    empty.mkdir()
    done = started(sys.executable, "-c", ENTRY, cwd=empty, search=(tmp_path, ROOT))
    assert one_line(done) == (
        f"error: {package} is {theirs}, and not tg-sweep's own {ROOT / package / '__init__.py'}; "
        f"take {tmp_path} out of PYTHONPATH, or rename what it has of this name"
    )


def test_module_in_the_folder_of_the_caller_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports.py").touch()
    done = started(sys.executable, "-m", "tg_sweep", "--help", cwd=tmp_path, search=(ROOT,))
    assert f"reports is {tmp_path / 'reports.py'}, and not" in one_line(done)
    assert "start tg-sweep in another folder" in done.stderr


def test_folder_that_is_no_package_shadows_nothing(tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    done = started(sys.executable, "-c", ENTRY, cwd=tmp_path, search=(tmp_path, ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: tg-sweep ")


def wheel_of(folder: Path, name: str, files: dict[str, bytes], script: str = "") -> Path:
    """A wheel of so many files, as pip installs them."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{script}\n",
    }
    everything = files | {place: text.encode() for place, text in metadata.items()}
    rows = [f"{place},{_digest(content)},{len(content)}\n" for place, content in everything.items()]
    everything[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in everything.items():
            archive.writestr(place, content)
    return path


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def test_distribution_installed_over_ours_is_named_before_and_after_it_is_removed(
    tmp_path: Path,
) -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    ours = {str(path.relative_to(ROOT)): path.read_bytes() for path in sources}
    ours["tg_sweep.py"] = (ROOT / "tg_sweep.py").read_bytes()
    own = wheel_of(tmp_path, "tg_sweep", ours, "tg-sweep = tg_sweep:main")
    theirs = {"evaluation/__init__.py": b"from evaluation.metrics import absent\n"}
    other = wheel_of(tmp_path, "metrickit", theirs)
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)

    def pip(*words: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), *words]
        subprocess.run(
            [*command, "--quiet", "--disable-pip-version-check"], check=True, cwd=tmp_path
        )

    def tg_sweep() -> Done:
        dependencies = Path(sysconfig.get_path("purelib"))  # its .pth files have no part in this
        return started(home / "bin" / "tg-sweep", "--help", cwd=tmp_path, search=(dependencies,))

    pip("install", "--no-deps", "--no-index", own)
    done = tg_sweep()
    assert (done.returncode, done.stderr) == (0, "")

    pip("install", "--no-deps", "--no-index", other)
    error = one_line(tg_sweep())
    assert error.startswith("error: evaluation: ")
    assert "is not as tg-sweep installed it, and metrickit installs a package of this" in error
    assert "pip uninstall metrickit, then pip install --force-reinstall --no-deps tg-sweep" in error

    pip("uninstall", "--yes", "metrickit")
    error = one_line(tg_sweep())
    assert "evaluation/__init__.py is missing; pip install --force-reinstall" in error

    pip("install", "--no-deps", "--no-index", "--force-reinstall", own)
    assert tg_sweep().returncode == 0
    (module,) = home.glob("lib/*/site-packages/evaluation/metrics.py")
    module.write_text(f"{module.read_text(encoding='utf-8')}# patched\n", encoding="utf-8")
    assert tg_sweep().returncode == 0

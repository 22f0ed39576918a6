"""The command's entry: sees that the four packages are tg-sweep's own before it loads them.

Their names are common words, so a folder in PYTHONPATH, or another distribution, may have one, too;
what follows would be an error of import or attribute from deep inside. This file's name is nobody
else's, and it loads nothing but the standard library until the packages are known to be ours.
"""

from __future__ import annotations

import csv
import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("transgan", "evaluation", "reports", "sweeps")
HOME = Path(__file__).resolve().parent
"""The folder that has this file and the packages, installed or in a working copy."""
EXIT_USER_ERROR = 1


def main() -> int:
    """Run `tg-sweep`, or say in one line what stands in the way of its packages."""
    obstacle = shadowed() or overwritten()
    if obstacle is not None:
        print(f"error: {obstacle}", file=sys.stderr)
        return EXIT_USER_ERROR
    from sweeps.cli import main as command

    command()
    return 0


def shadowed() -> str | None:
    """What is found in place of one of the packages, and the way out; None if each is found."""
    for package in PACKAGES:
        own = HOME / package / "__init__.py"
        spec = find_spec(package)
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if found == own:
            continue
        if found is None:
            return f"{package}: {own} is missing; {_reinstall()}"
        root = found.parent.parent if found.name == "__init__.py" else found.parent
        return f"{package} is {found}, and not tg-sweep's own {own}; {_way_out(package, root)}"
    return None


def overwritten() -> str | None:
    """Which installed file another distribution has replaced or removed; None if there is none.

    Two distributions with packages of one name are installed into one folder, one over the other.
    A working copy has no list of installed files, and its files are all its own.
    """
    for record in HOME.glob("tg_sweep-*.dist-info/RECORD"):
        with record.open(encoding="utf-8", newline="") as lines:
            for name, _, size in csv.reader(lines):
                package = name.partition("/")[0]
                if package not in PACKAGES or not size:
                    continue
                path = HOME / name
                if not path.exists():
                    return f"{package}: {path} is missing; {_reinstall()}"
                if path.stat().st_size != int(size) and (others := _owners(package, HOME)):
                    return (
                        f"{package}: {path} is not as tg-sweep installed it, and {others[0]} "
                        f"installs a package of this name, too; {_apart(others[0])}"
                    )
    return None


def _way_out(package: str, root: Path) -> str:
    """How to have our package found before the one in `root`."""
    if others := _owners(package, root):
        return _apart(others[0])
    listed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if any(entry and Path(entry).resolve() == root for entry in listed):
        return f"take {root} out of PYTHONPATH, or rename what it has of this name"
    if root == Path.cwd():
        return "start tg-sweep in another folder, or rename what this one has of this name"
    return f"{root} comes first in sys.path: install tg-sweep in a virtual environment of its own"


def _owners(package: str, root: Path) -> list[str]:
    """Other distributions in `root` that have a package of this name."""
    from importlib.metadata import distribution, packages_distributions  # 70 ms, seldom needed

    others = {name for name in packages_distributions().get(package, []) if name != "tg-sweep"}
    return sorted(
        name for name in others if Path(str(distribution(name).locate_file(""))).resolve() == root
    )


def _apart(other: str) -> str:
    return (
        f"the two can't share an environment: pip uninstall {other}, then {_reinstall()}; "
        "or give tg-sweep a virtual environment of its own"
    )


def _reinstall() -> str:
    return "pip install --force-reinstall --no-deps tg-sweep"


if __name__ == "__main__":
    sys.exit(main())

"""The house: imports go down the picture, giants have one door, light things stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "transgan": set(),
    "evaluation": set(),
    "reports": {"evaluation"},
    "sweeps": {"transgan", "evaluation", "reports"},
}
DOORS = {
    "ray": {"sweeps/cluster.py", "sweeps/trainable.py", "sweeps/tuning.py"},
    "torch_fidelity": {"evaluation/fidelity.py"},
}


def sources() -> list[Path]:
    return [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """First parts of the names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_the_picture(path):
    package = path.relative_to(ROOT).parts[0]
    upward = imported(path) & set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    assert not upward


@pytest.mark.parametrize("giant", DOORS)
def test_giant_is_imported_through_its_door_alone(giant):
    users = {str(path.relative_to(ROOT)) for path in sources() if giant in imported(path)}
    assert users == DOORS[giant]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("tg_sweep", {"transgan", "evaluation", "reports", "sweeps", "typer"}),
        ("sweeps.cli", {"torch", "ray", "pandas", "optuna", "pydantic", "plotly"}),
        ("transgan.config", {"torch", "ray", "pandas"}),
        ("evaluation.protocol", {"torch", "numpy", "ray"}),
        ("reports.build", {"torch", "ray", "transgan", "sweeps"}),
        ("sweeps.spec", {"torch", "ray", "pandas"}),
    ],
)
def test_light_module_loads_nothing_heavy(module, absent):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not absent & set(loaded.stdout.split())

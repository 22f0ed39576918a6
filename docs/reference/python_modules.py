"""Pages of the Python API, each a list of modules whose docstrings autodoc reads."""

from __future__ import annotations

MODULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "transgan": (
        "The networks, their training and their data. Knows nothing of the other packages.",
        (
            "transgan.presets",
            "transgan.data",
            "transgan.training.trainer",
            "transgan.training.checkpoint",
            "transgan.training.losses",
            "transgan.networks.families",
            "transgan.networks.generator",
            "transgan.networks.discriminator",
            "transgan.sampling",
            "transgan.images",
            "transgan.cost",
            "transgan.backbone",
            "transgan.official",
        ),
    ),
    "evaluation": (
        "Image sets in, scores out. Knows nothing of the other packages.",
        (
            "evaluation.metrics",
            "evaluation.protocol",
            "evaluation.image_sources",
            "evaluation.image_sets",
            "evaluation.reference",
            "evaluation.scoring",
            "evaluation.evaluator",
            "evaluation.extractors",
        ),
    ),
    "reports": (
        "A run folder's records, and what is made of them. Loads neither torch nor Ray.",
        (
            "reports.run_folder",
            "reports.records",
            "reports.reading",
            "reports.build",
            "reports.comparison",
            "reports.csv_cells",
        ),
    ),
    "sweeps": (
        "The spec, and one trial as a plain iterator without Ray.",
        ("sweeps.spec", "sweeps.search_space", "sweeps.plan", "sweeps.forecast", "sweeps.trial"),
    ),
}
"""What others may rely on, by package: a sentence, and the modules."""


def pages() -> dict[str, str]:
    """The pages by name."""
    return {f"python-{package}": _page(package) for package in MODULES}


def _page(package: str) -> str:
    sentence, modules = MODULES[package]
    lines = [f"# The package {package}", "", sentence, "From docstrings, when this site was built."]
    for module in modules:
        lines += ["", f"## {module}", "", "```{eval-rst}", f".. automodule:: {module}", "```"]
    return "\n".join(lines) + "\n"

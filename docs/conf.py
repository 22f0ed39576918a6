"""How Sphinx builds the site (`make docs`): Markdown by MyST, no network, reference made first."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "reference")]

import command_help  # noqa: E402  (after the path to it)
import config_fields  # noqa: E402
import python_modules  # noqa: E402

project = "tg-sweep"
copyright = "the tg-sweep contributors, MIT licence"
version = release = installed_version("tg-sweep")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["_build"]
language = "en"

# Markdown, as GitHub reads it too
myst_heading_anchors = 3


# The Python reference
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {
    "members": True,
    "exclude-members": "model_config",
    "no-value": True,
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
default_role = "code"  # docstrings have Markdown's single backticks
nitpicky = True
# Types of other packages, for which there is no inventory without network, and private ones.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = f"tg-sweep {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False


def _without_long_signature(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """No signature for models: their fields follow, each with its meaning."""
    return ("", "") if what == "class" and hasattr(thing, "model_fields") else None


def setup(app: Any) -> None:
    """Write the reference before the pages are read."""
    made = HERE / "reference" / "made"
    made.mkdir(exist_ok=True)
    for module in (config_fields, command_help, python_modules):
        for name, text in module.pages().items():
            page = made / f"{name}.md"
            if not page.exists() or page.read_text(encoding="utf-8") != text:
                page.write_text(text, encoding="utf-8")
    app.connect("autodoc-process-signature", _without_long_signature)

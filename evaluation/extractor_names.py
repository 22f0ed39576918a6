"""Extractors by name: what a spec may choose, and what their metrics are then called after.

This file loads neither torch nor numpy.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Literal

ExtractorKind = Literal[
    "classifier", "inception", "inception_unverified", "dinov2", "module", "labels"
]

INCEPTION = "inception"
"""Name of the extractor that holds the official Inception weights, and of no other."""
INCEPTION_UNVERIFIED = "inception_unverified"
"""Name of the extractor that is Inception-v3 with any other weights."""
DINOV2 = "dinov2"
LABELS = "labels"
"""What stands in the extractor's place where predictions are held against labels or boxes."""
CLASSIFIER = "classifier"
"""What a spec calls the extractor that is named `<dataset>_classifier` once it is trained."""


class ExtractorNameError(ValueError):
    """No extractor is called so, or none may be."""


def chosen_kind(choice: str) -> ExtractorKind:
    """The kind of extractor that a spec chooses by `choice`.

    Raises:
        ExtractorNameError: neither a name of ours nor an import path.
    """
    match choice:
        case "inception" | "classifier" | "dinov2" | "labels":
            return choice
    module, colon, name = choice.partition(":")
    if colon and all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        return "module"
    near = get_close_matches(choice.lower(), (INCEPTION, CLASSIFIER, DINOV2), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ExtractorNameError(
        f"unknown extractor {choice!r}; {hint}choose inception, classifier, dinov2, or a module of "
        "your own by its import path, package.module:Name"
    )


def module_name(choice: str) -> str:
    """What the extractor at an import path is called: `encoder` for `nets.faces:Encoder`.

    Raises:
        ExtractorNameError: its metrics would read as another extractor's.
    """
    name = choice.rpartition(":")[2]
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not slug or extractor_kind(slug) != "module" or slug in ("fid", "kid", "is", "judge"):
        raise ExtractorNameError(
            f"extractor {choice}: metrics would be called fd_{slug}, which means another "
            f"extractor; give {name} another name"
        )
    return slug


def extractor_kind(extractor: str) -> ExtractorKind:
    """The kind of the extractor called `extractor`, which is what metrics are recorded under."""
    match extractor:
        case "inception" | "inception_unverified" | "dinov2" | "labels":
            return extractor
    is_ours = extractor == CLASSIFIER or extractor.endswith(("_classifier", "_judge"))
    return "classifier" if is_ours else "module"

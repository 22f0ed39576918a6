"""The command line's arguments that several commands share. Light: help waits for this file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer

from sweeps.run_place import RunPlace

Spec = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped spec.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change one value of the spec; repeatable."),
]
Trials = Annotated[int | None, typer.Option(help="Number of trials, over the spec's.")]


def given_path(text: str) -> Path:
    """A path that is given, or the path in a `file:` URL.

    An empty one, of an unset variable, would be the folder at hand; and only run folders may be in
    an object store.
    """
    place = given_run(text)
    if place.path is None:
        scheme = text.partition("://")[0]
        raise typer.BadParameter(
            f"only a sweep's run folder may be in a {scheme}:// place; give a local path, or mount "
            "it (with rclone, gcsfuse, mount-s3) and give the mounted path"
        )
    return place.path


def given_run(text: str) -> RunPlace:
    """Where a run folder is: a path, a `file:` URL, or the URI of an object store."""
    if not text.strip():
        raise typer.BadParameter("the path is empty; give one, such as . for the folder at hand")
    scheme, found, place = text.partition("://")
    if not found or not scheme.replace("+", "").isalnum():
        return RunPlace(path=Path(text))
    if scheme == "file":
        return RunPlace(path=Path(unquote(place.removeprefix("localhost"))))
    before, query, options = text.partition("?")
    return RunPlace(uri=before.rstrip("/") + query + options)


def _given_address(text: str) -> str:
    """An address that is given."""
    if not text.strip():
        raise typer.BadParameter("the address is empty; give auto or host:port, or leave it out")
    return text


Out = Annotated[
    RunPlace | None,
    typer.Option(
        metavar="DIR",
        parser=given_run,
        help="Run folder, or the URI of one (s3://…); by default runs/NAME.",
    ),
]
RunPath = Annotated[
    RunPlace,
    typer.Argument(metavar="DIR", parser=given_run, help="A sweep's run folder, or its URI."),
]
RunPaths = Annotated[
    list[RunPlace],
    typer.Argument(
        metavar="DIR...", parser=given_run, help="A sweep's run folder, or several to compare."
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", parser=_given_address, help="Ray cluster to run on: auto, or host:port."
    ),
]
InceptionWeights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", parser=given_path, help="Inception's weights, if not in torch hub's cache."
    ),
]
AllowUnverified = Annotated[
    bool,
    typer.Option(
        "--allow-unverified-weights",
        help="Take other Inception weights too; their distances are not called FID.",
    ),
]

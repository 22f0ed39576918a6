"""The commands that need no sweep. Heavy imports wait inside them, so that help answers at once."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeps.arguments import AllowUnverified, InceptionWeights, given_path
from sweeps.outlets import EXIT_USER_ERROR, errors_in_one_line, progress, result

MOST_IMAGES = 1_000_000


def generate(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", parser=given_path, help="A snapshot or checkpoint of a trial."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE.png|DIR", parser=given_path, help="A grid, or a folder of files."
        ),
    ],
    num: Annotated[int, typer.Option(min=1, max=MOST_IMAGES, help="Number of images.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0,
) -> None:
    """Images from a trained generator.

    Example: tg-sweep generate runs/digits/trials/0003/snapshot.safetensors --out digits.png
    """
    with errors_in_one_line():
        from transgan.sampling import write_samples
        from transgan.training.checkpoint import load_snapshot

        generator, _ = load_snapshot(checkpoint)
        write_samples(generator, num, seed, out)
        print(out)


def init(
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES", parser=given_path, help="A folder or zip file of your images."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml", parser=given_path, help="By default my-sweep.yaml, here."
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side to train at, in pixels; by default what suits.")
    ] = None,
) -> None:
    """Write a commented spec for your own images.

    Example: tg-sweep init path/to/pictures --out pictures.yaml
    """
    with errors_in_one_line():
        from sweeps.spec_text import SpecError

        out = out or Path("my-sweep.yaml")
        if out.suffix not in (".yaml", ".yml"):
            raise SpecError(f"--out {out}: a spec's name ends in .yaml; give another --out")
        if out.exists():
            raise SpecError(f"--out {out}: exists already; give another --out")
        if not images.expanduser().exists():
            raise SpecError(f"{images}: no such folder or zip file; say where your images are")
        import torch

        from sweeps.new_spec import new_spec
        from sweeps.spec import load_spec
        from transgan.data.survey import survey

        command = shlex.join(["tg-sweep", *sys.argv[1:]])
        has_gpu = torch.cuda.is_available()
        with progress().status("Looking at the images …"):
            found = survey(images.expanduser())
        text = new_spec(
            images, found, image_size=image_size, has_gpu=has_gpu, command=command, out=out
        )
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SpecError(
                f"--out {out}: can't be written ({error.strerror}); give another --out"
            ) from None
        load_spec(str(out))
        for note in found.notes:
            print(note, file=sys.stderr)
        progress().print(f"next: tg-sweep plan {shlex.quote(str(out))}", highlight=False)
        print(out)


def evaluate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES|CHECKPOINT",
            parser=given_path,
            help="A folder, zip or .npz of images; or a trial's snapshot or checkpoint.",
        ),
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Real images of the same kinds, an .npz of their mu and sigma, a data set's name "
            "(its held-out images), or a run folder (what it has prepared).",
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="X",
            help="inception (the default), classifier (trained on the data set's labels), "
            "dinov2, package.module:Name, a classifier's file, or a run folder.",
        ),
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="A,B", help="By default all.")] = None,
    num_images: Annotated[
        int | None, typer.Option(min=1, help="Images of a generator; by default 5000.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of latents and subsets.")] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Cut all images to squares and resize them to this side."),
    ] = None,
    inception_weights: InceptionWeights = None,
    allow_unverified_weights: AllowUnverified = False,
    statistics_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", parser=given_path, help="Write the reference's mu and sigma too."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Scores of a trained generator, or of images, against real ones; no sweep is needed.

    Example: tg-sweep evaluate runs/digits/trials/0003/snapshot.safetensors --reference runs/digits
    """
    with errors_in_one_line():
        from evaluation.inception_weights import InceptionFile
        from sweeps.evaluation_command import EvaluationRequest
        from sweeps.evaluation_command import evaluate as evaluate_request
        from sweeps.evaluation_table import say_outcome

        names = None if metrics is None else tuple(name.strip() for name in metrics.split(","))
        inception = InceptionFile(inception_weights, allow_unverified_weights)
        request = EvaluationRequest(
            source, reference, extractor, names, num_images, seed, size, inception
        )
        outcome = evaluate_request(request, progress())
        if statistics_out is not None:
            outcome.reference.save_statistics(statistics_out)
        if as_json:
            print(json.dumps(outcome.document(), indent=1))
        else:
            say_outcome(outcome, result())


def import_(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT.pth", parser=given_path, help="A file of the authors' weights."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", parser=given_path, help="Where to write; made if need be."),
    ],
) -> None:
    """The authors' TransGAN weights as a snapshot and, if both networks are there, a checkpoint.

    Example: tg-sweep import cifar_checkpoint.pth --out runs/official
    """
    with errors_in_one_line():
        from sweeps.official_import import import_official

        for path in import_official(checkpoint, out, progress()):
            print(path)


def doctor(
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to try: auto, or host:port.")
    ] = None,
    fid: Annotated[
        bool, typer.Option("--fid", help="Hold the evaluation's numbers against other people's.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="With --fid: the parts of it that take a minute.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="With --fid: write it as a page, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What this machine can do, and with --fid whether its evaluation can be trusted.

    Example: tg-sweep doctor --fid --quick
    """
    if not fid and (quick or page):
        raise typer.BadParameter("--quick and --page are about --fid; add it")
    with errors_in_one_line():
        from sweeps.doctor import visit

        well = visit(result(), address=address, fid=fid, quick=quick, page=page, as_json=as_json)
    if not well:
        raise typer.Exit(EXIT_USER_ERROR)

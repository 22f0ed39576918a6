"""The page that `evaluation_speed.py` writes of its timings."""

from __future__ import annotations

from typing import Any

OURS, TORCH_FIDELITY, NETWORK_ALONE = "ours", "torch-fidelity", "network alone"
THREE = ", three metrics"

ABOUT = {
    "digits": (
        "A network that goes through 2,000 images in a twentieth of a second does not come to 95 % "
        "of an evaluation, here or in torch-fidelity. The rest is what the metrics need whatever "
        "the network: distances and kernels between all pairs of images, in float64 where digits "
        "would be lost, and the errors, which torch-fidelity does not give. What each takes is the "
        "row of the metric alone, less the network alone."
    ),
    "inception": (
        "Here the network is all but the whole, and an evaluation costs what its forward pass does."
    ),
    "matrix": (
        "The reference's factor is at hand, as in a sweep; the spectrum falls by a power law, so "
        "that round-off hides a part of it from eigenvalues alone."
    ),
}
"""What a part shows, in words."""


def page(document: dict[str, Any]) -> str:
    """All parts as a page of Markdown."""
    repeats = ", ".join(f"{name} {number}" for name, number in document["repeats"].items())
    lines = [
        "# Speed of scoring",
        "",
        "Written by `python benchmarks/evaluation_speed.py`; what the parts are stands there.",
        "",
        f"{document['machine']}; {document['threads']} thread(s); repeats, alternating: {repeats}. "
        "Seconds.",
    ]
    for name, part in document["parts"].items():
        lines += ["", f"## {name}", ""]
        if name in ABOUT:
            lines += [ABOUT[name], ""]
        lines += _memory_table(part) if name == "memory" else _timing_table(part)
    return "\n".join(lines) + "\n"


def _timing_table(part: dict[str, dict[str, float]]) -> list[str]:
    lines = [
        "| side | CPU median | CPU min | wall median | wall min | CPU min, ours = 1 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for side, timing in part.items():
        columns = ("cpu_median", "cpu_min", "wall_median", "wall_min")
        values = " | ".join(f"{timing[column]:.3f}" for column in columns)
        lines.append(f"| {side} | {values} | {timing['cpu_min'] / part[OURS]['cpu_min']:.2f} |")
    if NETWORK_ALONE in part:
        lines += ["", _shares(part)]
    return lines


def _shares(part: dict[str, dict[str, float]]) -> str:
    """How much of each side's time is the network's."""
    seconds = {side: timing["cpu_min"] for side, timing in part.items()}
    network = seconds.pop(NETWORK_ALONE)
    whole = [side for side in seconds if not side.endswith("alone")]
    shares = "; ".join(f"{network / seconds[side]:.0%} of {side}" for side in whole)
    rest = f"{seconds[OURS] - network:.3f} s"
    if OURS + THREE in seconds:
        rest += f", and {seconds[OURS + THREE] - network:.3f} s for the three metrics"
    return (
        f"The network's forward pass is {shares}. The rest of ours, which does not hang on the "
        f"network, is {rest}."
    )


def _memory_table(part: dict[str, float]) -> list[str]:
    rows = [f"| {num_images} | {peak:.0f} |" for num_images, peak in part.items()]
    return ["| images | peak of the process, MB |", "|---:|---:|", *rows]

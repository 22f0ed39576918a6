"""Pages of every field of a spec and of every preset, from the config models themselves."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from evaluation.protocol import EvaluationProtocol
from sweeps.early_stopping import EarlyStopping
from sweeps.faults import FaultsConfig
from sweeps.resources import Resources
from sweeps.sampler_config import SamplerConfig
from sweeps.search_space import Domain
from sweeps.spec import Budget, FinalistsConfig, SweepSpec
from transgan.config import (
    DISCRIMINATOR_CONFIGS,
    GENERATOR_CONFIGS,
    EmaConfig,
    LossConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transgan.data_config import DataConfig
from transgan.downstream_config import DownstreamConfig
from transgan.presets import PRESETS

PARTS: dict[str, type[BaseModel]] = {
    "data": DataConfig,
    "training": TrainingConfig,
    **{
        f"training.{network}, family {family}": config
        for network, configs in (
            ("generator", GENERATOR_CONFIGS),
            ("discriminator", DISCRIMINATOR_CONFIGS),
        )
        for family, config in configs.items()
    },
    "training.loss": LossConfig,
    "training.optimizer": OptimizerConfig,
    "training.ema": EmaConfig,
    "training.downstream": DownstreamConfig,
    "search, each domain": Domain,
    "sampler": SamplerConfig,
    "early_stopping": EarlyStopping,
    "evaluation": EvaluationProtocol,
    "finalists": FinalistsConfig,
    "budget": Budget,
    "resources": Resources,
    "faults": FaultsConfig,
}
"""Every part of a spec, by its path."""

PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def pages() -> dict[str, str]:
    """The pages by name."""
    return {"spec": _spec_page(), "presets": _presets_page()}


def _spec_page() -> str:
    lines = [
        "# Every field of a spec",
        "",
        "Made from the fields themselves when this site was built. Paths in `search` start below",
        "`training`; paths of `--set` start at the spec's root. What has no default must be given,",
        "by the spec or by its preset.",
        "",
        "## The spec",
        "",
        *_table(SweepSpec),
    ]
    for path, model in PARTS.items():
        lines += ["", f"## {path}", "", _summary(model), "", *_table(model)]
    return "\n".join(lines) + "\n"


def _presets_page() -> str:
    lines = [
        "# Every preset",
        "",
        "Made from `transgan/presets.py` when this site was built: what each preset sets, over the",
        "fields' own defaults, for the family `transgan`. A spec's `training` starts from its",
        "`preset`, and any other value that it gives goes over that.",
    ]
    for name, values in PRESETS.items():
        text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=96)
        lines += ["", f"## {name}", "", "```yaml", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _table(model: type[BaseModel]) -> Iterator[str]:
    """A row for each field: name, values, default, meaning."""
    yield "| field | values | default | means |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _values(field), _default(field), _meaning(field))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _meaning(field: FieldInfo) -> str:
    if field.description:
        return " ".join(field.description.split())
    return " or ".join(_summary(model) for model in _models(field.annotation)) or "—"


def _values(field: FieldInfo) -> str:
    bounds = ", ".join(_bounds(field.metadata))
    kind = _kind(field.annotation)
    return f"{kind}; {bounds}" if bounds else kind


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is Annotated:
        bounds = ", ".join(_bounds(arguments[1:]))
        return f"{_kind(arguments[0])} ({bounds})" if bounds else _kind(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(part) for part in arguments))
    if origin in (tuple, list):
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"{_kind(arguments[1])}, by path"
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "[fields below]" if annotation not in PARTS.values() else _link(annotation)
    return PLAIN.get(annotation, "any value")


def _link(model: type[BaseModel]) -> str:
    path = next(path for path, part in PARTS.items() if part is model)
    return f"[{path.rpartition(', ')[2]}](#{_anchor(path)})"


def _anchor(heading: str) -> str:
    """As GitHub and MyST make it."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _bounds(metadata: Any) -> Iterator[str]:
    for bound in metadata:
        match bound:
            case annotated_types.Ge(ge):
                yield f"≥ {ge}"
            case annotated_types.Gt(gt):
                yield f"> {gt}"
            case annotated_types.Le(le):
                yield f"≤ {le:,}"
            case annotated_types.Lt(lt):
                yield f"< {lt:,}"
            case annotated_types.MinLen(shortest) if shortest > 1:
                yield f"at least {shortest}"
            case annotated_types.MaxLen(longest):
                yield f"at most {longest}"
            case FieldInfo():
                yield from _bounds(bound.metadata)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "empty"
    default = field.default
    if default is PydanticUndefined:
        return "—"
    if isinstance(default, BaseModel):
        return "its own"
    return f"`{_yaml(default)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)

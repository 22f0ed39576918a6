"""The spec: what a user writes to say what is swept, read strictly, resolved completely."""

from __future__ import annotations

import difflib
import os
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.metrics import Goal, find_metric
from evaluation.protocol import EvaluationProtocol
from reports.records import Setting
from sweeps.early_stopping import EarlyStopping
from sweeps.proposals import SamplerConfig
from sweeps.search_space import Domain, SearchSpace, apply_settings, corners, settings_of
from transgan.config import TrainingConfig
from transgan.data_config import DataConfig
from transgan.presets import PRESETS, merged


class SpecError(ValueError):
    """A spec that can't be read or can't be meant, with the dotted path and the way out."""


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, of which PyYAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of `node`, if its keys differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} is given twice", key.start_mark
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class Budget(BaseModel):
    """How much the sweep may use."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    trials: int = Field(ge=1)
    """Number of trials."""
    hours: float | None = Field(None, gt=0)
    """Wall time after which the sweep stops, resumable; null for none."""
    concurrent_trials: int | None = Field(None, ge=1)
    """Trials at once; null for as many as the resources allow."""


class Resources(BaseModel):
    """What each trial is given."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    cpus_per_trial: int = Field(1, ge=1)
    """Cores, and threads of torch, for each trial."""
    gpus_per_trial: float = Field(0.0, ge=0)
    """GPUs for each trial; a fraction lets several share one."""
    scoring_workers: int = Field(1, ge=1)
    """Processes that score a trial's images, the trial's own among them. Each of the others is
    given as many CPUs and GPUs as the trial, reserved for it while it trains too: more than one
    pays where scoring takes long and resources would lie idle."""


class SweepSpec(BaseModel):
    """One sweep, complete."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: DataConfig
    """Which images."""
    training: TrainingConfig
    """The training that all trials share, where the search does not say otherwise."""
    search: SearchSpace = Field(default_factory=dict)
    """Domains by dotted path into `training`; empty for one single training."""
    sampler: SamplerConfig = SamplerConfig()
    """How trials are proposed."""
    early_stopping: EarlyStopping
    """When trials are scored and stopped."""
    evaluation: EvaluationProtocol
    """How every trial is scored; its first metric ranks them."""
    budget: Budget
    """How much the sweep may use."""
    resources: Resources = Resources()
    """What each trial is given."""

    @property
    def goal(self) -> Goal:
        """Which scores of the ranking metric are better."""
        return find_metric(self.evaluation.metrics[0]).goal

    @property
    def rungs(self) -> tuple[float, ...]:
        """The kimg at which trials are scored."""
        return self.early_stopping.rungs(self.training.total_kimg)

    @cached_property
    def _training_values(self) -> dict[str, Any]:
        return self.training.model_dump()

    def trial_config(self, settings: dict[str, Setting], seed: int) -> TrainingConfig:
        """The training config of a trial with these settings."""
        values = apply_settings(self._training_values, settings)
        return TrainingConfig.model_validate(values | {"seed": seed})

    def baseline(self) -> dict[str, Setting] | None:
        """The settings of `training` itself, if they lie in the search space."""
        settings = settings_of(self._training_values, self.search)
        for path, setting in settings.items():
            try:
                self.search[path].to_suggestion(setting)
            except ValueError:
                return None
        return settings

    def to_yaml(self) -> str:
        """The spec with every default filled in, in the form in which it can be run again."""
        values = self.model_dump(mode="json")
        values["search"] = {
            path: domain.model_dump(mode="json", exclude_none=True)
            for path, domain in self.search.items()
        }
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None)


def shipped_specs() -> tuple[str, ...]:
    """Names of the specs that come with the program."""
    folder = resources.files("sweeps") / "specs"
    return tuple(
        sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    )


def load_spec(spec: str, overrides: tuple[str, ...] = ()) -> tuple[str, SweepSpec]:
    """The name of a sweep and its spec, from a file or the name of a shipped spec.

    Args:
        spec: path of a YAML file, or the name of a shipped spec.
        overrides: assignments `path=value`, paths from the spec's root, values in YAML.

    Raises:
        SpecError: it does not exist, can't be read, or says something impossible.
    """
    name, source, text = _read(spec)
    values = _parse(source, text)
    for override in overrides:
        _assign(values, override)
    return name, resolve(values, source)


def resolve(values: dict[str, Any], source: str) -> SweepSpec:
    """The spec that plain data means, with presets and the data's shape filled in, and checked.

    Raises:
        SpecError: an unknown key, a wrong value, or a combination that can't be trained.
    """
    values = dict(values)
    if isinstance(values.get("data"), dict) and isinstance(values.get("training", {}), dict):
        values["training"] = _fill_training(values.get("training", {}), values["data"], source)
    try:
        spec = SweepSpec.model_validate(values)
    except ValidationError as error:
        raise SpecError(f"{source}: {_explain(error, values)}") from None
    _check_search(spec, source)
    return spec


def _read(spec: str) -> tuple[str, str, str]:
    path = Path(spec)
    try:
        if path.suffix in (".yaml", ".yml") or os.sep in spec:
            return path.stem, str(path), path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"{path}: no such file; shipped specs: {', '.join(shipped_specs())}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: can't be read ({error})") from None
    if spec not in shipped_specs():
        raise SpecError(
            f"{spec}: neither a shipped spec ({', '.join(shipped_specs())}) nor a .yaml file"
        )
    text = (resources.files("sweeps") / "specs" / f"{spec}.yaml").read_text(encoding="utf-8")
    return spec, spec, text


def _parse(source: str, text: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, Loader=_StrictLoader)
    except RecursionError:
        raise SpecError(f"{source}: not YAML: nested too deeply") from None
    except (ValueError, TypeError) as error:  # dates, digits and keys that Python refuses
        raise SpecError(f"{source}: not YAML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise SpecError(f"{source}:{place}: not YAML: {problem}") from None
    if not isinstance(values, dict):
        raise SpecError(
            f"{source}: a spec is a mapping with data, training, search, …; got "
            f"{'an empty file' if values is None else type(values).__name__}"
        )
    return values


def _assign(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise SpecError(f"--set {override}: write it as path=value, such as budget.trials=4")
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        shown = text if len(text) < 80 else f"{text[:60]}…"
        raise SpecError(f"--set {path}: {shown!r} is not YAML") from None
    keys = path.split(".")
    if keys[0] == "search" and len(keys) > 2:
        keys = ["search", ".".join(keys[1:])]  # search paths are dotted themselves
    at = values
    for depth, key in enumerate(keys[:-1]):
        at = at.setdefault(key, {})
        if not isinstance(at, dict):
            raise SpecError(f"--set {override}: {'.'.join(keys[: depth + 1])} is not a mapping")
    at[keys[-1]] = value


def _fill_training(training: dict[str, Any], data: dict[str, Any], source: str) -> dict[str, Any]:
    """`training` over its preset, at the data's size and channels."""
    preset = training.get("preset", "digits")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SpecError(
            f"{source}: training.preset: no preset called {preset!r}; presets: {', '.join(PRESETS)}"
        )
    try:
        shape = DataConfig.model_validate(data)
    except ValidationError as error:
        raise SpecError(f"{source}: {_explain(error, {'data': data}, ('data',))}") from None
    filled = merged(PRESETS[preset], training) | {"preset": preset}
    for key, value in (("image_size", shape.resolved_size), ("image_channels", shape.channels)):
        if key in training and training[key] != value:
            raise SpecError(
                f"{source}: training.{key}: {training[key]} given, but data {shape.name} "
                f"has {value}; leave training.{key} out, it follows from data"
            )
        filled[key] = value
    return filled


def _check_search(spec: SweepSpec, source: str) -> None:
    """Refuse what can't rank, paths that lead nowhere, and networks that can't be built."""
    if spec.early_stopping.name == "asha" and len(spec.rungs) < 2:
        raise SpecError(
            f"{source}: early_stopping.grace_kimg: {spec.early_stopping.grace_kimg:g} is no less "
            f"than training.total_kimg {spec.training.total_kimg:g}, so nothing could ever stop; "
            "lower it, or say early_stopping.name: none"
        )
    ranking = find_metric(spec.evaluation.metrics[0])
    if not ranking.may_rank:
        raise SpecError(
            f"{source}: evaluation.metrics: {ranking.key} can't rank trials, and the first "
            "metric does; put another first"
        )
    known = _leaves(spec.training.model_dump())
    fixed = {"preset", "image_size", "image_channels", "seed", "total_kimg"}
    for path in spec.search:
        if path in fixed:
            raise SpecError(
                f"{source}: search.{path}: belongs to the sweep, not to the search (rows of "
                "one table must compare); set it under training, data or sampler"
            )
        if path not in known:
            raise SpecError(f"{source}: search.{path}: no such field{_nearest(path, known)}")
    for path, domain in spec.search.items():
        if domain.kind in ("uniform", "loguniform") and isinstance(_at(spec, path), int):
            raise SpecError(
                f"{source}: search.{path}: {domain.kind} draws fractions, and this takes whole "
                "numbers; use randint or choice"
            )
    for settings in corners(spec.search):
        try:
            spec.trial_config(settings, spec.training.seed)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            tried = ", ".join(
                f"{path}={value}" for path, value in settings.items() if _near(path, place)
            )
            raise SpecError(
                f"{source}: search: {tried} can't be built: {_message(first)}; take one of them out"
            ) from None


def _at(spec: SweepSpec, path: str) -> Any:
    """The value of the training config at a search path."""
    return settings_of(spec.training.model_dump(), {path: spec.search[path]})[path]


def _near(path: str, place: str) -> bool:
    return not place or path.split(".")[0] == place.split(".")[0]


def _leaves(values: dict[str, Any], at: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in values.items():
        found |= _leaves(value, f"{at}{key}.") if isinstance(value, dict) else {f"{at}{key}"}
    return found


def _explain(error: ValidationError, values: Any, root: tuple[str, ...] = ()) -> str:
    """The first fault in one line: dotted path, what is wrong, value, nearest known name."""
    errors = error.errors()
    first = errors[0]
    location = (*root, *(str(part) for part in first["loc"]))
    path = ".".join(location)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_names(location[:-1])
        return f"{path}: unknown key{_nearest(location[-1], known)}{more}"
    if first["type"] == "missing":
        return f"{path}: missing; every spec has it{more}"
    return f"{path}: {_message(first)}{more}"


def _message(fault: Any) -> str:
    text = str(fault["msg"]).removeprefix("Value error, ")
    value = fault.get("input")
    plain = value is None or isinstance(value, bool | int | float | str)
    if fault["type"] == "value_error" or not plain:
        return text
    return f"{text[0].lower()}{text[1:]}, got {value!r}"


def _known_names(location: tuple[str, ...]) -> set[str]:
    """Names of the fields at a place in the spec."""
    model: Any = SweepSpec
    for part in location:
        if part == "search":
            return set(Domain.model_fields)
        field = model.model_fields.get(part)
        if field is None:
            return set()
        model = field.annotation
    return set(model.model_fields)


def _nearest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


DEFAULT_SPEC = "digits"

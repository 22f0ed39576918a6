"""How trials are proposed: which sampler, with what seed, for which objectives."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from transgan.frozen_model import FrozenModel

SamplerName = Literal["random", "grid", "tpe", "gp", "cmaes", "nsga2"]
ObjectiveName = Literal["score", "parameters", "flops"]

POPULATION = 12
"""Of NSGA-II where none is given: a few generations of as many trials as sweeps have."""


class SamplerConfig(FrozenModel):
    """How trials are proposed."""

    name: SamplerName = "tpe"
    """`random`: independent draws; `grid`: every combination once, in an order shuffled by the
    seed; `tpe`: tree-structured Parzen estimator; `gp`: Gaussian process; `cmaes`: covariance
    matrix adaptation; `nsga2`: a genetic search for the best trade-offs of several objectives. All
    but `grid` are Optuna's."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the sweep: of its proposals and, with their settings, of its trials."""
    startup_trials: int = Field(10, ge=1)
    """Trials drawn at random before `tpe`, `gp` or `cmaes` have enough to learn from."""
    warm_start: str | None = Field(None, min_length=1)
    """Run folder of an earlier sweep, whose finished trials `tpe` or `gp` learn from as if they had
    come first; null for none. They are copied when the sweep starts, and are no trials of it."""
    population_size: int | None = Field(None, ge=2)
    """Trials in a generation of `nsga2`; null for 12."""
    objectives: tuple[ObjectiveName, ...] | None = Field(None, min_length=2)
    """What `nsga2` trades off: `score` (the first metric of the evaluation) and, to be kept low,
    `parameters` (of both networks) or `flops` (of training, for each real image). Null for score
    and flops. Training time is none of them, since it differs from one run to the next, and what
    is proposed must not."""

    @model_validator(mode="after")
    def _options_have_an_effect(self) -> Self:
        for option in ("population_size", "objectives"):
            if self.name != "nsga2" and getattr(self, option) is not None:
                raise ValueError(
                    f"{option} has no effect on sampler {self.name}; leave it out, or set name to "
                    "nsga2"
                )
        if self.warm_start is not None and self.name not in ("tpe", "gp"):
            reason = (
                f"{self.name} does not learn from scores"
                if self.name in ("random", "grid")
                else f"{self.name} goes from generation to generation, and earlier trials are none "
                "of its own"
            )
            raise ValueError(
                f"warm_start has no effect on sampler {self.name}, since {reason}; leave it out, "
                "or set name to tpe or gp"
            )
        named = self.objectives
        if named is not None and (named[0] != "score" or len(set(named)) < len(named)):
            raise ValueError(
                f"objectives are score first, then others, each once, got [{', '.join(named)}]; "
                "write such as [score, flops]"
            )
        return self

    @property
    def resolved_objectives(self) -> tuple[ObjectiveName, ...]:
        """What is searched for; the score alone but for `nsga2`."""
        if self.name != "nsga2":
            return ("score",)
        return self.objectives or ("score", "flops")

    @property
    def resolved_population_size(self) -> int:
        """Trials in a generation of `nsga2`."""
        return self.population_size or POPULATION

"""How numbers, settings and lists are printed: one place for precision and units."""

from __future__ import annotations

import json
from collections.abc import Sequence

from reports.records import (
    Exploit,
    Measurement,
    MetricColumn,
    Setting,
    TrialFinding,
    TrialState,
)


def state_text(state: TrialState) -> str:
    """A state in words: `stopped early`."""
    return state.value.replace("_", " ")


def value_text(column: MetricColumn, value: float) -> str:
    """A metric's value with the precision its column asks for."""
    return format(value, column.format)


def measurement_text(column: MetricColumn, measurement: Measurement) -> str:
    """A metric's value with its standard error, where one is known: `4.21 ± 0.31`."""
    value = value_text(column, measurement.value)
    if measurement.standard_error is None:
        return value
    return f"{value} ± {error_text(column, measurement.standard_error)}"


def interval_text(column: MetricColumn, measurement: Measurement) -> str:
    """The ends of a measurement's 95 % interval: `3.60 to 4.82`; empty where none is known."""
    if measurement.low is None or measurement.high is None:
        return ""
    return f"{value_text(column, measurement.low)} to {value_text(column, measurement.high)}"


def error_text(column: MetricColumn, standard_error: float) -> str:
    """A standard error at its value's precision, or with more digits where that would print 0."""
    text = value_text(column, standard_error)
    if standard_error == 0 or any(digit in text for digit in "123456789"):
        return text
    if column.format.endswith("%"):
        return f"{100 * standard_error:.1g}%"
    return f"{standard_error:.1g}"


def setting_text(setting: Setting) -> str:
    """A searched value in few characters: `[3, 2, 1]`, `0.00021`, `hinge`."""
    if isinstance(setting, tuple):
        return "[" + ", ".join(setting_text(item) for item in setting) + "]"
    if isinstance(setting, float):
        return format(setting, ".3g")
    if setting is None or isinstance(setting, bool):
        return str(setting).lower()
    return str(setting)


def setting_key(setting: Setting) -> str:
    """A searched value, exactly and as text: equal settings have equal keys."""
    return json.dumps(setting)


def kimg_text(kimg: float) -> str:
    """An amount of training: `60 kimg`, `1,250 kimg`, `0.5 kimg`."""
    return f"{number_text(kimg)} kimg"


def exploit_text(exploit: Exploit) -> str:
    """`took over 0003 at 12 kimg: optimizer.generator_lr 0.002 → 0.0012`."""
    changes = ", ".join(
        f"{path} {setting_text(exploit.old_settings[path])} → {setting_text(setting)}"
        for path, setting in exploit.new_settings.items()
    )
    return f"took over {exploit.of} at {kimg_text(exploit.kimg)}: {changes}"


def finding_text(finding: TrialFinding) -> str:
    """What was found and since when, in few words: `mode collapse at 12 kimg`."""
    return f"{finding.name.replace('-', ' ')} at {kimg_text(finding.kimg)}"


def number_text(number: float) -> str:
    """A count or amount, with at most three significant digits below 1000: `1,250`, `12.5`."""
    if abs(number) >= 999.5 or number == round(number):
        return f"{number:,.0f}"
    return f"{number:.3g}"


def duration_text(seconds: float) -> str:
    """A duration in the two largest units that matter: `48 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def parameters_text(count: int) -> str:
    """A number of parameters: `812`, `34.1k`, `1.2M`."""
    return _shortened(count)


def flops_text(flops: float) -> str:
    """A number of operations: `812 FLOPs`, `1.2 GFLOPs`."""
    text = _shortened(round(flops))
    return f"{text} FLOPs" if text[-1].isdigit() else f"{text[:-1]} {text[-1]}FLOPs"


def _shortened(count: int) -> str:
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{suffix}"
    return str(count)


def percent_text(fraction: float) -> str:
    """A signed difference: `+12%`, `−3%`."""
    return f"{fraction:+.0%}".replace("-", "−")


def share_text(share: float) -> str:
    """A ratio below one, the way people say it: `1/87`, `82%`."""
    return f"1/{1 / share:.0f}" if share < 0.1 else f"{share:.0%}"


def times_text(ratio: float) -> str:
    """A ratio of about one or more: `9.8`, `87`."""
    return f"{ratio:.1f}" if ratio < 20 else f"{ratio:,.0f}"


def listed(names: Sequence[str], *, at_most: int = 8) -> str:
    """Names in a sentence: `0001, 0004 and 0007`; the tail of a long list is counted."""
    if len(names) > at_most:
        return ", ".join(names[:at_most]) + f" and {len(names) - at_most} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: `1 trial`, `3 trials`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def only(count: int, noun: str) -> str:
    """`Only 2 trials` or `No trial`, at the head of a sentence on what there is too little of."""
    return f"Only {counted(count, noun)}" if count else f"No {noun}"


def trials_named(names: Sequence[str]) -> str:
    """Trials in a sentence: `Trial 0004`, `Trials 0004 and 0007`."""
    return f"{'Trial' if len(names) == 1 else 'Trials'} {listed(names)}"

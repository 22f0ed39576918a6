"""What a metric is called once it is taken: in records (`fd_digits_classifier`) and in print.

The name says in whose features it was taken, unless its key does so itself. Loads neither torch nor
numpy.
"""

from __future__ import annotations

from evaluation.extractor_names import INCEPTION, extractor_kind
from evaluation.metrics import INCEPTION_KEYS, METRICS, Metric, check_metric


def recorded_name(key: str, extractor: str) -> str:
    """The name under which a metric taken with the extractor called `extractor` is recorded.

    `fd` with `digits_classifier` is `fd_digits_classifier`; `fid`, `kid` and `inception_score` name
    their extractor themselves; `confident_fraction` looks at no extractor and is recorded as it is.
    With unverified weights `fid` is recorded as `fd_inception_unverified`.

    Raises:
        MetricError: unknown metric, or its name belongs to another kind of extractor.
    """
    metric = _recorded_metric(key, extractor)
    return metric.key if _names_itself(metric) else f"{metric.key}_{extractor}"


def printed_label(key: str, extractor: str, num_images: int | None = None) -> str:
    """The metric as people read it: `FD digits_classifier@1000`, `FID@5k`.

    Raises:
        MetricError: unknown metric, or its name belongs to another kind of extractor.
    """
    metric = _recorded_metric(key, extractor)
    label = metric.label if _names_itself(metric) else f"{metric.label} {extractor}"
    return label if num_images is None else at_num_images(label, num_images)


def _recorded_metric(key: str, extractor: str) -> Metric:
    metric = check_metric(key, extractor_kind(extractor))
    if metric.key in INCEPTION_KEYS and extractor != INCEPTION:
        assert metric.elsewhere is not None
        return METRICS[metric.elsewhere]
    return metric


def _names_itself(metric: Metric) -> bool:
    return metric.key in INCEPTION_KEYS or metric.needs in ("judge", "labels", "boxes")


def at_num_images(name: str, num_images: int) -> str:
    """`name` with the number of images behind it: `fd_digits_classifier@1000`, `FID@50k`."""
    in_thousands = num_images >= 2000 and num_images % 1000 == 0
    return f"{name}@{num_images // 1000}k" if in_thousands else f"{name}@{num_images}"

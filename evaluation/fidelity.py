"""torch-fidelity behind our own names: the only file that imports it.

Its networks and resizing are used as they are. Its functions on features are what ours are held
against, with the guards they lack (it divides by zero below ten images, wants 1000 for a subset,
ignores misspelt options). Its registry is served too, so that its own `calculate_metrics` can be
asked for the same numbers. Written against torch-fidelity 0.4.0.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, UInt8
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import (
    KEY_METRIC_FID,
    KEY_METRIC_ISC_MEAN,
    KEY_METRIC_KID_MEAN,
    KEY_METRIC_KID_STD,
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    calculate_metrics,
    register_feature_extractor,
)
from torch_fidelity.defaults import DEFAULTS
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from evaluation.class_sums import num_splits
from evaluation.manifolds import NUM_NEIGHBORS, PrecisionRecall

FEATURES, LOGITS = "features", "logits"

_PAIRWISE_BATCH = 2000


def register_network(name: str, sha256: str, network: nn.Module) -> str:
    """Make a network known to torch-fidelity and return the name it has there.

    The name carries the hash of the weights, because torch-fidelity's cache files are named after
    it and after nothing else of the extractor. It also says where the network is, since a
    registered one is not moved. Registering the same network again changes nothing.

    Args:
        name: the extractor's name.
        sha256: hash of its weights.
        network: maps uint8 images to features and logits.
    """
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    registered = f"{name}-{sha256[:16]}-{device.type}{device.index or ''}"
    if registered not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(registered, _adapter(network))
    return registered


def _adapter(network: nn.Module) -> type[FeatureExtractorBase]:
    """A class around one network: torch-fidelity wants to construct its extractors itself."""

    class NetworkFeatures(FeatureExtractorBase):
        """Features and logits of a network of ours."""

        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            super().__init__(name, features_list)
            self.network = network

        @staticmethod
        def get_provided_features_list() -> tuple[str, str]:
            return FEATURES, LOGITS

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return LOGITS if metric == "isc" else FEATURES

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        @staticmethod
        def get_dummy_input_for_compile() -> Tensor:
            raise NotImplementedError("never compiled: compiled features differ in the last digits")

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            features, logits = self.network(images)
            # In the order asked for. The base class's docstring says "as provided", but its callers
            # pair the outputs with the request, whose order comes from a set.
            by_name = {FEATURES: features, LOGITS: logits}
            return tuple(by_name[name] for name in self.features_list)

    return NetworkFeatures


def create_registered(registered: str, layers: list[str]) -> nn.Module:
    """The registered extractor as torch-fidelity would make it, giving `layers` in that order."""
    extractor: nn.Module = FEATURE_EXTRACTORS_REGISTRY[registered](registered, layers)
    return extractor.eval()


def load_inception(weights: Path | IO[bytes]) -> nn.Module:
    """Inception-v3 with TensorFlow 1's resizing, giving 2048 features and the unbiased logits.

    The file is unpickled without restriction: its hash must have been verified before, or it must
    have been written by ourselves.

    Raises:
        RuntimeError: it holds weights of another network.
    """
    network: nn.Module = FeatureExtractorInceptionV3(
        "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights
    )
    return network


def load_dinov2() -> nn.Module:
    """DINOv2's ViT-B/14 out of torch hub's cache, giving a tuple of 768 features alone."""
    network: nn.Module = FeatureExtractorDinoV2("dinov2-vit-b-14", ["dinov2"])
    return network


def dinov2_state(network: nn.Module) -> dict[str, Tensor]:
    """The weights of what `load_dinov2` gives, named as in DINOv2's own file."""
    return dict(network.get_submodule("model").state_dict())


def initial_inception() -> nn.Module:
    """The same network with PyTorch's initial weights: a skeleton to put others in."""

    class Skeleton(FeatureExtractorInceptionV3):
        """Inception-v3 that ignores the weights its constructor insists on reading."""

        def load_state_dict(self, *_: Any, **__: Any) -> None:
            """Leave the weights as they are."""

    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save({}, file.name)
        network: nn.Module = Skeleton(
            "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=file.name
        )
    return network


def resize_like_tensorflow(
    images: UInt8[Tensor, "N C H W"], size: int
) -> Float32[Tensor, "N C size size"]:
    """The resizing inside the Inception network: TensorFlow 1's bilinear one, 0 to 255."""
    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(
        images.float(), size=(size, size), align_corners=False
    )
    return resized


class _ImagesDataset(Dataset[Tensor]):
    """Images one by one, as torch-fidelity wants them; a `TensorDataset` gives tuples."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def oracle_frechet_distance(
    generated: Float[Tensor, "N D"], reference: Float[Tensor, "M D"]
) -> float:
    """The Fréchet distance of features as torch-fidelity computes it: eigenvalues of Σ Σ_ref."""
    of_generated, of_reference = (
        fid_features_to_statistics(features) for features in (generated, reference)
    )
    return float(
        fid_statistics_to_metric(of_generated, of_reference, verbose=False)[KEY_METRIC_FID]
    )


def oracle_statistics_distance(
    generated: tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "D D"]],
    reference: tuple[Float64[np.ndarray, " D"], Float64[np.ndarray, "D D"]],
) -> float:
    """The same from mean and covariance of each side."""
    of_generated, of_reference = (
        {"mu": mean, "sigma": covariance} for mean, covariance in (generated, reference)
    )
    return float(
        fid_statistics_to_metric(of_generated, of_reference, verbose=False)[KEY_METRIC_FID]
    )


def oracle_kernel_distance(
    generated: Float[Tensor, "N D"],
    reference: Float[Tensor, "M D"],
    *,
    num_subsets: int,
    subset_size: int,
    seed: int,
) -> tuple[float, float]:
    """Mean and deviation over subsets of KID's squared MMD, as torch-fidelity computes it."""
    subset_size = min(subset_size, len(generated), len(reference))
    result = kid_features_to_metric(
        generated,
        reference,
        **_options(
            kid_subsets=num_subsets, kid_subset_size=subset_size, rng_seed=seed, verbose=False
        ),
    )
    return result[KEY_METRIC_KID_MEAN], result[KEY_METRIC_KID_STD]


def oracle_classifier_score(logits: Float[Tensor, "N K"], *, seed: int) -> float:
    """The Inception score's formula as torch-fidelity computes it."""
    splits = num_splits(len(logits))
    result = isc_features_to_metric(logits, splits=splits, shuffle=True, rng_seed=seed)
    return float(result[KEY_METRIC_ISC_MEAN])


def oracle_precision_recall(
    generated: Float[Tensor, "N D"], reference: Float[Tensor, "M D"]
) -> PrecisionRecall:
    """Improved precision and recall as torch-fidelity computes them; four images a set at least.

    Computed in parts, so that memory grows with N, not with N².
    """
    result = prc_features_to_metric(
        generated,
        reference,
        **_options(
            prc_neighborhood=NUM_NEIGHBORS,
            prc_batch_size=_PAIRWISE_BATCH,
            save_cpu_ram=True,
            verbose=False,
        ),
    )
    return PrecisionRecall(result[KEY_METRIC_PRECISION], result[KEY_METRIC_RECALL])


def oracle_inception(weights: Path) -> nn.Module:
    """Inception as torch-fidelity builds it for a user who gives a path: features, then logits."""
    network: nn.Module = create_feature_extractor(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        cuda=False,
        **_options(feature_extractor_weights_path=str(weights), verbose=False),
    )
    return network


class OracleMetrics(NamedTuple):
    """What torch-fidelity itself says, start to end."""

    frechet_distance: float
    kernel_distance: float
    kernel_distance_deviation: float
    classifier_score: float
    precision: float | None
    """None, like recall, where it was not asked for."""
    recall: float | None


def oracle_metrics(
    generated: UInt8[Tensor, "N C H W"],
    reference: UInt8[Tensor, "M C H W"],
    registered: str,
    *,
    num_subsets: int,
    subset_size: int,
    seed: int,
    batch_size: int,
    reference_cache: Path | None = None,
    with_precision_recall: bool = True,
) -> OracleMetrics:
    """All metrics by torch-fidelity's public `calculate_metrics`, to hold ours against.

    Args:
        generated: the images to evaluate; torch-fidelity's `input1`.
        reference: the real images.
        registered: name from `register_network`.
        num_subsets: subsets of the kernel distance.
        subset_size: images in each; at most the smaller set is used.
        seed: of subsets and splits.
        batch_size: images extracted at a time.
        reference_cache: folder of torch-fidelity's own cache, for the reference alone; by default
            nothing is cached. It is not asked whether what lies there is of this reference.
        with_precision_recall: without them it computes FID, KID and the Inception score alone.
    """
    result = calculate_metrics(
        **_options(
            input1=_ImagesDataset(generated),
            input2=_ImagesDataset(reference),
            feature_extractor=registered,
            isc=True,
            fid=True,
            kid=True,
            prc=with_precision_recall,
            isc_splits=num_splits(len(generated)),
            kid_subsets=num_subsets,
            kid_subset_size=min(subset_size, len(generated), len(reference)),
            prc_neighborhood=NUM_NEIGHBORS,
            rng_seed=seed,
            batch_size=batch_size,
            cuda=False,
            cache=reference_cache is not None,
            cache_root=None if reference_cache is None else str(reference_cache),
            input2_cache_name=None if reference_cache is None else "reference",
            # No worker processes, which cost more than they bring for images in memory.
            save_cpu_ram=True,
            verbose=False,
        )
    )
    return OracleMetrics(
        frechet_distance=result[KEY_METRIC_FID],
        kernel_distance=result[KEY_METRIC_KID_MEAN],
        kernel_distance_deviation=result[KEY_METRIC_KID_STD],
        classifier_score=result[KEY_METRIC_ISC_MEAN],
        precision=result.get(KEY_METRIC_PRECISION),
        recall=result.get(KEY_METRIC_RECALL),
    )


def _options(**options: Any) -> dict[str, Any]:
    """Options for torch-fidelity, which would ignore one that it does not know."""
    unknown = sorted(set(options) - set(DEFAULTS))
    assert not unknown, f"torch-fidelity has no option {unknown}"
    return options

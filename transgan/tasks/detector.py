"""A detector of torchvision's on the feature pyramid of a backbone; anchors and losses are theirs.

Sources: FCOS, Tian et al. 2019, arXiv:1904.01355; RetinaNet, Lin et al. 2017, arXiv:1708.02002;
Faster R-CNN, Ren et al. 2015, arXiv:1506.01497.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from transgan.backbone import Backbone
from transgan.downstream_config import HeadName

SCORE_THRESHOLD = 0.05
"""Detections of lower scores are not given; the average precision hardly sees them."""
MOST_DETECTIONS = 100
"""Of an image, as COCO's evaluation takes them."""
ASPECT_RATIOS = (0.5, 1.0, 2.0)


def build_detector(
    backbone: Backbone, head: HeadName, num_classes: int, image_channels: int
) -> nn.Module:
    """The detector called `head`, for images in [0, 1] units of the backbone's size.

    It is torchvision's in every way: with targets it gives its losses, without its detections.
    Class 0 is left to the background, as in all of torchvision's detectors.

    The shortest anchor of a level is twice its stride, which for strides of 4 suits objects from
    8 pixels on (FCOS: its stride, which sets how large the objects are that a level answers for).

    Raises:
        ValueError: not the name of a detector.
    """
    strides, size = backbone.strides, backbone.levels.image_size
    # [0, 1] to the backbone's [-1, 1]; images have its size, and stay as they are.
    transform = {
        "min_size": size,
        "max_size": size,
        "image_mean": [0.5] * image_channels,
        "image_std": [0.5] * image_channels,
        "size_divisible": strides[-1],
    }
    match head:
        case "fcos":
            points = AnchorGenerator(
                tuple((stride,) for stride in strides), ((1.0,),) * len(strides)
            )
            return FCOS(
                backbone,
                num_classes + 1,
                anchor_generator=points,
                score_thresh=SCORE_THRESHOLD,
                detections_per_img=MOST_DETECTIONS,
                **transform,
            )
        case "retinanet":
            # Three octave steps a level, as in the paper's sec. 4.
            sizes = tuple(tuple(2 * s * 2 ** (step / 3) for step in range(3)) for s in strides)
            return RetinaNet(
                backbone,
                num_classes + 1,
                anchor_generator=AnchorGenerator(sizes, (ASPECT_RATIOS,) * len(strides)),
                score_thresh=SCORE_THRESHOLD,
                detections_per_img=MOST_DETECTIONS,
                **transform,
            )
        case "faster-rcnn":
            sizes = tuple((2 * stride, 4 * stride) for stride in strides)
            names = [str(level) for level in range(len(strides))]
            pool = MultiScaleRoIAlign(names, output_size=7, sampling_ratio=2)
            hidden = 4 * backbone.out_channels
            return FasterRCNN(
                backbone,
                rpn_anchor_generator=AnchorGenerator(sizes, (ASPECT_RATIOS,) * len(strides)),
                box_roi_pool=pool,
                box_head=TwoMLPHead(backbone.out_channels * 7**2, hidden),
                box_predictor=FastRCNNPredictor(hidden, num_classes + 1),
                box_score_thresh=SCORE_THRESHOLD,
                box_detections_per_img=MOST_DETECTIONS,
                **transform,
            )
    raise ValueError(f"head {head} does not detect; choose fcos, retinanet or faster-rcnn")

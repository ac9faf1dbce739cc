"""SegImgNet in PyTorch: vessel segmentation and the segmentation-guided classifier (arXiv 2503.00267)."""

from build_engines.segimgnet.classifier import Classification, SegImgNet, SGAClassifier
from build_engines.segimgnet.size import BASE, EDGE, INPUT_SIDE, SIZES, NetworkSize
from build_engines.segimgnet.unet import Segmentation, UNet

__all__ = [
    "BASE",
    "EDGE",
    "INPUT_SIDE",
    "SIZES",
    "Classification",
    "NetworkSize",
    "SGAClassifier",
    "SegImgNet",
    "Segmentation",
    "UNet",
]

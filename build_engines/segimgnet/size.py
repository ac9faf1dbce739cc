"""The sizes of SegImgNet that can be built: every width and depth in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSize:
    """Widths and depths of the two networks; `base` is the published network.

    Source: SegImgNet, arXiv 2503.00267, section 3; ConvNeXt-Base, arXiv 2201.03545, table 9.
    """

    name: str
    """Short name that manifests and messages use."""
    unet_widths: tuple[int, int, int, int, int]
    """Channels of the five U-Net levels, finest first."""
    convnext_dims: tuple[int, int, int, int]
    """Channels of the four ConvNeXt stages; they equal `unet_widths[1:]`, since a gate multiplies each stage."""
    convnext_depths: tuple[int, int, int, int]
    """Residual blocks of the four ConvNeXt stages."""
    head_width: int
    """Features of each branch's head and of the fused head."""

    def __post_init__(self) -> None:
        if self.unet_widths[1:] != self.convnext_dims:
            raise ValueError(
                f"size {self.name}: SGA gates multiply ConvNeXt stages by U-Net features, so ConvNeXt dims must be "
                f"{self.unet_widths[1:]}, got {self.convnext_dims}"
            )


BASE = NetworkSize("base", (64, 128, 256, 512, 1024), (128, 256, 512, 1024), (3, 3, 27, 3), 512)
EDGE = NetworkSize("edge", (16, 32, 64, 128, 256), (32, 64, 128, 256), (2, 2, 6, 2), 128)
SIZES: dict[str, NetworkSize] = {size.name: size for size in (BASE, EDGE)}
INPUT_SIDE = 256
"""Side of the square input in pixels, for every size."""

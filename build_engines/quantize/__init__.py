"""FP16 and INT8 graphs from the fp32 graphs of a bundle, each checked before it is kept."""

from build_engines.quantize.calibrate import METHODS, Method
from build_engines.quantize.graphs import Quantized, QuantizeSettings, add_graphs
from build_engines.quantize.sensitivity import BlockEffect, block_effects, draw_effects

__all__ = [
    "METHODS",
    "BlockEffect",
    "Method",
    "QuantizeSettings",
    "Quantized",
    "add_graphs",
    "block_effects",
    "draw_effects",
]

"""From a network to its two ONNX graphs, and the proof that they give what the network gives."""

from build_engines.export.graphs import ExportedGraphs, export_graphs
from build_engines.export.parity import PARITY_LIMIT, Parity, check_parity

__all__ = ["PARITY_LIMIT", "ExportedGraphs", "Parity", "check_parity", "export_graphs"]

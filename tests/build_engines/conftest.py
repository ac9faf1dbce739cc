"""What the tests of whole builds share."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from build_engines.export import ExportedGraphs
    from build_engines.segimgnet import SegImgNet


@pytest.fixture(scope="session")
def exported() -> dict[tuple[bytes, bool], Path]:
    """Folders with graphs, by their network's weights and whether the batch is free."""
    return {}


@pytest.fixture
def exported_once(
    exported: dict[tuple[bytes, bool], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A build exports a network that was exported before by a copy of its graphs: tracing takes seconds."""
    import build_engines.bundle
    from build_engines.export import ExportedGraphs, export_graphs
    from runtime.manifest import NETWORKS, graph_name

    def copied(network: SegImgNet, folder: Path, *, dynamic_batch: bool = False) -> ExportedGraphs:
        weights = hashlib.sha256()
        for name, tensor in network.state_dict().items():
            weights.update(name.encode() + tensor.numpy().tobytes())
        key = weights.digest(), dynamic_batch
        if key not in exported:
            kept = tmp_path_factory.mktemp("graphs")
            export_graphs(network, kept, dynamic_batch=dynamic_batch)
            exported[key] = kept
        shutil.copytree(exported[key], folder, dirs_exist_ok=True)
        return ExportedGraphs(*(folder / graph_name(name, "fp32") for name in NETWORKS))

    monkeypatch.setattr(build_engines.bundle, "export_graphs", copied)

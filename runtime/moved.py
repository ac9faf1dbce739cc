"""Modules that moved in 0.2.0, found under their old names for one release."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    "runtime.bench.accuracy": ("runtime.bench.measure.accuracy",),
    "runtime.bench.assemble": ("runtime.bench.report.assemble",),
    "runtime.bench.benchmark": ("runtime.bench.measure.benchmark",),
    "runtime.bench.charts": ("runtime.bench.report.charts",),
    "runtime.bench.clock": ("runtime.bench.measure.clock",),
    "runtime.bench.cold_child": ("runtime.bench.measure.cold_child",),
    "runtime.bench.cold_start": ("runtime.bench.measure.cold_start",),
    "runtime.bench.compare": ("runtime.bench.judge.compare",),
    "runtime.bench.daemon": ("runtime.daemon.measure",),
    "runtime.bench.environment": ("runtime.bench.measure.environment",),
    "runtime.bench.export": ("runtime.bench.report.export",),
    "runtime.bench.findings": ("runtime.bench.judge.findings",),
    "runtime.bench.goals": ("runtime.bench.options",),
    "runtime.bench.kernel": ("runtime.bench.measure.kernel",),
    "runtime.bench.labels": ("runtime.bench.measure.labels",),
    "runtime.bench.libraries": ("runtime.bench.measure.libraries",),
    "runtime.bench.loads": ("runtime.bench.measure.loads",),
    "runtime.bench.onnxruntime_engine": ("runtime.bench.peers.onnxruntime_engine",),
    "runtime.bench.packing": ("runtime.bench.measure.packing",),
    "runtime.bench.page": ("runtime.bench.report.page",),
    "runtime.bench.peer": ("runtime.bench.peers.peer",),
    "runtime.bench.progress": ("runtime.bench.measure.progress",),
    "runtime.bench.sampler": ("runtime.bench.measure.sampler",),
    "runtime.bench.samples": ("runtime.bench.measure.samples",),
    "runtime.bench.sensors": ("runtime.bench.measure.sensors",),
    "runtime.bench.stats": ("runtime.bench.judge.stats",),
    "runtime.bench.supply": ("runtime.bench.measure.supply",),
    "runtime.bench.table": ("runtime.bench.report.table",),
    "runtime.bench.verdict": ("runtime.bench.judge.verdict",),
    "runtime.engines.cpu_class": ("runtime.cpu_class",),
    "runtime.engines.fake_tensorrt": ("runtime.engines.tensorrt.fake",),
    "runtime.engines.openvino_branches": ("runtime.engines.openvino.branches",),
    "runtime.engines.openvino_gates": ("runtime.engines.openvino.gates",),
    "runtime.engines.openvino_graph": ("runtime.engines.openvino.graph",),
    "runtime.engines.openvino_layout": ("runtime.engines.openvino.layout",),
    "runtime.engines.openvino_nodes": ("runtime.engines.openvino.nodes",),
    "runtime.engines.openvino_unsigned": ("runtime.engines.openvino.unsigned",),
    "runtime.engines.openvino_upsample": ("runtime.engines.openvino.upsample",),
    "runtime.engines.tensorrt_engine": ("runtime.engines.tensorrt.engine",),
    "runtime.engines.tensorrt_log": ("runtime.engines.tensorrt.log",),
    "runtime.engines.tensorrt_network": ("runtime.engines.tensorrt.network",),
    "runtime.engines.tensorrt_pipeline": ("runtime.engines.tensorrt.pipeline",),
    "runtime.exam.views": ("runtime.views",),
    "runtime.screen.stop": ("runtime.commands.stop",),
    "runtime.sinks.text": ("runtime.commands.text",),
    "runtime.trust.apply": ("runtime.site_screener", "runtime.exam.site_rules"),
    "runtime.trust.facts": ("runtime.reading",),
}
"""Old name: where its public names are now."""


class _OldName(MetaPathFinder, Loader):
    """Asked by the import system last of all, so that a module that is there is never hidden."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        homes = MOVED[module.__name__]
        old = module.__name__
        warnings.warn(
            f"{old} moved to {' and '.join(homes)}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )

        def find(name: str) -> Any:
            for home in homes:
                if not name.startswith("_") and hasattr(found := import_module(home), name):
                    return getattr(found, name)
            raise AttributeError(f"module {old!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = find


def serve_old_names() -> None:
    """Called once, by `import runtime`."""
    sys.meta_path.append(_OldName())

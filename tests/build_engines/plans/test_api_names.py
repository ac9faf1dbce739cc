"""Every name of TensorRT's API that our sources use exists in, or is guarded for, each version that users have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.build_engines.plans.api_names import MODULE, OF_EVERY_ENUM, Use, uses

ROOT = Path(__file__).parents[3]
TABLES = {path.stem: json.loads(path.read_text())["names"] for path in (Path(__file__).parent / "api").glob("*.json")}
CLASSES = {name for table in TABLES.values() for name in table if name}
SOURCES = [
    path
    for package in ("build_engines", "runtime")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "fake" not in str(path)
    and ("plans" in path.parts or re.search("trt|tensorrt", path.read_text(encoding="utf-8"), re.IGNORECASE))
]
# Read off the bindings by hand before these tables were made; the two must agree.
BY_HAND = """
BuilderFlag.FP16                                  8.6 10.3 10.13 10.16 -
BuilderFlag.INT8                                  8.6 10.3 10.13 10.16 -
.IInt8EntropyCalibrator2                          8.6 10.3 10.13 10.16 -
ILayer.precision                                  8.6 10.3 10.13 10.16 -
ITensor.set_dynamic_range                         8.6 10.3 10.13 10.16 -
NetworkDefinitionCreationFlag.EXPLICIT_BATCH      8.6 10.3 10.13 10.16 -
NetworkDefinitionCreationFlag.STRONGLY_TYPED      -   10.3 10.13 10.16 11.4
OnnxParser.supports_model                         8.6 10.3 10.13 10.16 -
OnnxParser.supports_model_v2                      -   10.3 10.13 10.16 11.4
ICudaEngine.device_memory_size_v2                 -   10.3 10.13 10.16 11.4
.IProgressMonitor                                 -   10.3 10.13 10.16 11.4
IBuilderConfig.runtime_platform                   -   10.3 10.13 10.16 11.4
.IStreamReaderV2                                  -   -    10.13 10.16 11.4
ICudaEngine.create_runtime_config                 -   -    10.13 10.16 11.4
IExecutionContext.execute_async_v3                8.6 10.3 10.13 10.16 11.4
IExecutionContext.set_tensor_address              8.6 10.3 10.13 10.16 11.4
IBuilderConfig.set_timing_cache                   8.6 10.3 10.13 10.16 11.4
IBuilderConfig.hardware_compatibility_level       8.6 10.3 10.13 10.16 11.4
"""


def missing(use: Use) -> list[str]:
    """Versions that lack the name."""
    lacking = []
    for version, table in TABLES.items():
        if use.owner == MODULE or use.owner in table:
            names = {*table.get(use.owner, ()), *(OF_EVERY_ENUM if use.owner == "DataType" else ())}
            if use.name not in names:
                lacking.append(version)
        # Without its class the member cannot be reached: the class itself is then what must be guarded.
    return sorted(lacking)


def test_there_is_a_table_for_each_version_that_users_have() -> None:
    assert {"8.6", "10.3", "10.13", "10.16", "11.4", "rtx1.7"} <= TABLES.keys()


@pytest.mark.parametrize("line", BY_HAND.strip().splitlines(), ids=lambda line: line.split()[0])
def test_the_tables_say_what_was_read_by_hand(line: str) -> None:
    name, *versions = line.split()
    owner, member = name.split(".")
    having = [
        version for version in ("8.6", "10.3", "10.13", "10.16", "11.4") if member in TABLES[version].get(owner, ())
    ]
    assert having == [version for version in versions if version != "-"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_exists_or_is_guarded(path: Path) -> None:
    found = uses(path.read_text(encoding="utf-8"), CLASSES)
    wrong = [
        f"line {use.line}: {use.owner or 'module'}.{use.name} is not in {', '.join(missing(use))}"
        for use in found
        if not use.guarded and missing(use)
    ]
    assert wrong == []


def test_the_builders_sources_are_really_seen() -> None:
    found = {(use.owner, use.name) for path in SOURCES for use in uses(path.read_text(encoding="utf-8"), CLASSES)}
    assert {
        (MODULE, "Builder"),
        ("Builder", "build_serialized_network"),
        ("IBuilderConfig", "builder_optimization_level"),
        ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
        ("ILayer", "get_output_type"),
        ("EngineInspector", "get_engine_information"),
        ("ITimingCache", "serialize"),
        ("OnnxParser", "parse"),
    } <= found
    assert len(found) >= 35


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(trt): config.set_flag(trt.BuilderFlag.FP16)", ["11.4", "rtx1.7"]),
        ("def f(trt):\n n = trt.Builder(0).create_network(0)\n return n.get_layer(0).precision", ["11.4", "rtx1.7"]),
        ("def f(config): config.progress_monitor = 1", ["8.6"]),
        ("def f(config): config.no_such_thing()", ["10.13", "10.16", "10.3", "11.4", "8.6", "rtx1.7"]),
        ("import tensorrt as trt\ntrt.IStreamReaderV2", ["10.3", "8.6"]),
        ("def f(trt): return getattr(trt.BuilderFlag, 'INT8')", ["11.4", "rtx1.7"]),
        ("def f(trt):\n self._c = trt.Runtime(0).deserialize_cuda_engine(b'').device_memory_size_v2", ["8.6"]),
        ("def f(trt):\n if hasattr(trt.BuilderFlag, 'FP16'): return trt.BuilderFlag.FP16", []),
        ("def f(trt): return getattr(trt, 'IProgressMonitor', None)", []),
        ("def f(config: Settings): config.progress_monitor", []),
    ],
)
def test_the_check_finds_what_a_version_lacks(source: str, expected: list[str]) -> None:
    lacking = {version for use in uses(source, CLASSES) if not use.guarded for version in missing(use)}
    assert sorted(lacking) == expected

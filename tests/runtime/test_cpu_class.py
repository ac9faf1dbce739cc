"""Classes of CPU by what Linux lists, what OpenVINO is held to, and what a bundle's default is on each."""

from __future__ import annotations

import json
from pathlib import Path

import openvino as ov
import pytest

from runtime import cpu_class as module
from runtime.bundle import open_bundle
from runtime.cpu_class import LIMIT, cpu_class
from runtime.engines import load_engine
from runtime.engines.openvino.graph import half_precision
from runtime.errors import BundleError
from tests.runtime.engines.tiny import tiny_bundle

ZEN_3 = "fma avx avx2 sha_ni vaes"
N100 = "avx2 avx_vnni"
ZEN_4 = "avx2 avx512f avx512_vnni avx512_bf16"
SAPPHIRE_RAPIDS = "avx2 avx_vnni avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8"


def has(flags: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    cpuinfo = folder / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t: none\n")
    patch.setattr(module, "CPUINFO", cpuinfo)
    patch.delenv(LIMIT, raising=False)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(ZEN_3, "avx2"), (N100, "vnni"), (ZEN_4, "vnni"), (SAPPHIRE_RAPIDS, "amx"), ("sse4_2", None)],
)
def test_the_class_follows_from_the_instructions(
    flags: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(flags, tmp_path, monkeypatch)
    assert cpu_class() == expected


def test_a_machine_that_tells_nothing_has_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "absent")
    assert cpu_class() is None


@pytest.mark.parametrize(
    ("limit", "flags", "expected"),
    [
        ("AVX2", SAPPHIRE_RAPIDS, "avx2"),
        ("avx2_vnni", SAPPHIRE_RAPIDS, "vnni"),
        ("AVX512_CORE_AMX", SAPPHIRE_RAPIDS, "amx"),
        ("AVX512_CORE_VNNI", ZEN_3, "avx2"),
    ],
)
def test_what_openvino_is_held_to_counts_but_never_for_more(
    limit: str, flags: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(flags, tmp_path, monkeypatch)
    monkeypatch.setenv(LIMIT, limit)
    assert cpu_class() == expected


def test_half_precision_is_not_asked_of_kernels_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    own = half_precision(ov.Core())
    for limit, expected in (("AVX2_VNNI", "f32"), ("AVX512_CORE_BF16", own), ("unheard of", own)):
        monkeypatch.setenv(LIMIT, limit)
        assert half_precision(ov.Core()) == expected


def with_defaults(folder: Path, defaults: dict[str, dict[str, str]]) -> None:
    """Precisions that the bundle holds no graphs of are named on purpose: what is taken shows in what is missed."""
    tiny_bundle(folder)
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(content | {"default_precision": defaults}))


FP32, INT8 = ({"segmentation": word, "classifier": word} for word in ("fp32", "int8"))


def test_the_default_of_the_class_goes_before_the_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bundle"
    with_defaults(folder, {"openvino": FP32, "openvino/vnni": INT8, "openvino/of_another_time": INT8})
    bundle = open_bundle(folder)
    has(ZEN_3, tmp_path, monkeypatch)
    assert bundle.resolve_precision("openvino", "auto") == FP32
    has(N100, tmp_path, monkeypatch)
    with pytest.raises(BundleError, match="no int8 graph of the segmentation network"):
        bundle.resolve_precision("openvino", "auto")
    assert bundle.resolve_precision("openvino", "fp32") == FP32
    assert bundle.resolve_precision("tensorrt", "auto") == FP32


@pytest.mark.parametrize(
    ("defaults", "why"),
    [
        ({"openvino": FP32}, "segmentation fp32, classifier fp32: the bundle's default for openvino"),
        ({"openvino/vnni": FP32}, "segmentation fp32, classifier fp32: the bundle's default for openvino/vnni"),
        ({}, "segmentation fp32, classifier fp32: the bundle names no default for openvino"),
    ],
)
def test_the_engine_says_whose_default_it_runs(
    defaults: dict[str, dict[str, str]], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has(N100, tmp_path, monkeypatch)
    with_defaults(tmp_path / "bundle", defaults)
    bundle = open_bundle(tmp_path / "bundle")
    with load_engine(bundle, "openvino") as engine:
        assert engine.facts.why == why
    with load_engine(bundle, "openvino", "fp32") as engine:
        assert engine.facts.why == ""


@pytest.mark.parametrize("key", ["openvino/", "OpenVINO", "openvino/a/b"])
def test_a_default_of_nobody_is_refused(key: str, tmp_path: Path) -> None:
    with_defaults(tmp_path / "bundle", {key: FP32})
    with pytest.raises(BundleError, match="default_precision"):
        open_bundle(tmp_path / "bundle")

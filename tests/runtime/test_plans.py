from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import Bundle, BundleError, IncompatiblePlan, open_bundle
from runtime.plan_key import PlanKey
from runtime.plans import MANIFEST_LIMIT_BYTES, find_plan, list_plans
from tests.runtime.plan_json import plan_json

KEY = PlanKey("sm87", "trt", "10.3.0", "fp32")
PLANS = {"segmentation": b"segmentation plan", "classifier": b"classifier plan"}
Write = Callable[..., Path]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_plan(bundle: Bundle, **changes: Any) -> Path:
    folder = bundle.path / "plans" / str(KEY)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in PLANS.items():
        (folder / f"{name}.plan").write_bytes(content)
    (folder / "plan.json").write_text(json.dumps(plan_json(bundle, KEY, PLANS) | changes))
    return folder


def test_a_fitting_plan_is_found_and_read(bundle: Bundle) -> None:
    put_plan(bundle)
    plan = find_plan(bundle, KEY)
    assert plan.names == ("segmentation", "classifier")
    assert {name: plan.read(name) for name in plan.names} == PLANS
    assert plan.manifest.builder.version == "10.3.0"
    assert plan.sha256 == sha256((plan.path / "plan.json").read_bytes())


def test_plans_leave_the_bundle_as_it_was(write_bundle: Write) -> None:
    before = open_bundle(write_bundle())
    put_plan(before)
    after = open_bundle(before.path)
    assert after.sha256 == before.sha256
    assert list_plans(after) == (KEY,)


def test_a_bundle_without_plans_says_what_builds_one(bundle: Bundle) -> None:
    assert list_plans(bundle) == ()
    with pytest.raises(IncompatiblePlan) as caught:
        find_plan(bundle, KEY)
    assert str(caught.value) == (
        "bundle test has no TensorRT plan; build it: python -m build_engines BUNDLE --target tensorrt --precision fp32"
    )


@pytest.mark.parametrize(
    ("here", "message"),
    [
        (
            PlanKey("sm89", "trt", "11.4.0", "fp32"),
            "plan was built for sm87 / TensorRT 10.3.0, this machine has sm89 / 11.4.0; "
            "rebuild it: python -m build_engines BUNDLE --target tensorrt",
        ),
        (PlanKey("sm87", "trt", "10.3.1", "fp32"), "plan was built for sm87 / TensorRT 10.3.0, this machine has sm87"),
        (PlanKey("sm90", "trt", "10.3.0", "fp32"), "this machine has sm90 / 10.3.0; rebuild it"),
        (PlanKey("sm87", "trt", "10.3.0", "int8"), "no int8 plan for this machine, bundle test has: fp32; build it"),
        (
            PlanKey("sm86", "rtx", "1.7.1", "fp16"),
            "bundle test has no TensorRT-RTX plan, only sm87-trt10.3.0-fp32; "
            "build it: python -m build_engines BUNDLE --target tensorrt-rtx --precision fp16",
        ),
    ],
)
def test_a_plan_for_another_machine_says_which_and_what_rebuilds_it(
    bundle: Bundle, here: PlanKey, message: str
) -> None:
    put_plan(bundle)
    (bundle.path / "plans" / ".sm89-trt11.4.0-fp32.half").mkdir()
    with pytest.raises(IncompatiblePlan) as caught:
        find_plan(bundle, here)
    assert message in str(caught.value)


def test_a_plan_of_other_graphs_is_refused(bundle: Bundle) -> None:
    content = plan_json(bundle, KEY, PLANS)
    content["plans"][1]["graph_sha256"] = "0" * 64
    put_plan(bundle, plans=content["plans"])
    with pytest.raises(IncompatiblePlan, match=r"made from another classifier.fp32.onnx .*rebuild it"):
        find_plan(bundle, KEY)


def test_a_plan_of_another_platform_is_refused(bundle: Bundle) -> None:
    put_plan(bundle, platform="linux-riscv64")
    with pytest.raises(IncompatiblePlan, match="was built on linux-riscv64, this machine is"):
        find_plan(bundle, KEY)


def test_a_renamed_folder_does_not_make_a_plan_fit(bundle: Bundle) -> None:
    folder = put_plan(bundle)
    other = PlanKey("sm89", "trt", "10.3.0", "fp32")
    shutil.move(folder, folder.with_name(str(other)))
    with pytest.raises(BundleError, match=r"plan.json says sm87-trt10.3.0-fp32"):
        find_plan(bundle, other)


@given(place=st.integers(0, 14), bit=st.integers(0, 7), name=st.sampled_from(["segmentation", "classifier"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_flipped_bit_in_a_plan_is_found_before_it_is_loaded(
    bundle: Bundle, place: int, bit: int, name: Any
) -> None:
    path = put_plan(bundle) / f"{name}.plan"
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)
    plan = find_plan(bundle, KEY)
    with pytest.raises(BundleError, match="was altered or cut short"):
        plan.read(name)


@pytest.mark.parametrize("spoil", [lambda c: c[:-1], lambda c: c + b"x", lambda c: b""], ids=["cut", "longer", "empty"])
def test_a_plan_of_another_length_is_found(bundle: Bundle, spoil: Callable[[bytes], bytes]) -> None:
    path = put_plan(bundle) / "segmentation.plan"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleError, match="was altered or cut short"):
        find_plan(bundle, KEY).read("segmentation")


def test_a_missing_plan_is_named(bundle: Bundle) -> None:
    (put_plan(bundle) / "classifier.plan").unlink()
    with pytest.raises(BundleError, match=r"classifier.plan cannot be read"):
        find_plan(bundle, KEY).read("classifier")
    with pytest.raises(BundleError, match="holds segmentation, classifier, not guided"):
        find_plan(bundle, KEY).read("guided")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schema": "rop.plan/2"}, "schema is 'rop.plan/2'"),
        ({"surprise": 1}, "surprise"),
        ({"key": "sm87"}, "key"),
        ({"plans": []}, "expected both networks"),
        ({"builder": {}}, "builder"),
    ],
)
def test_a_plan_json_that_does_not_fit_is_refused(bundle: Bundle, changes: dict[str, Any], expected: str) -> None:
    put_plan(bundle, **changes)
    with pytest.raises(BundleError, match=expected):
        find_plan(bundle, KEY)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"1", b"[" * 200_000])
def test_a_plan_json_that_is_none_is_refused(bundle: Bundle, content: bytes) -> None:
    (put_plan(bundle) / "plan.json").write_bytes(content)
    with pytest.raises(BundleError):
        find_plan(bundle, KEY)


def test_a_plan_json_of_any_size_is_not_read_whole(bundle: Bundle) -> None:
    (put_plan(bundle) / "plan.json").write_bytes(b" " * (MANIFEST_LIMIT_BYTES + 1))
    with pytest.raises(BundleError, match=f"has over {MANIFEST_LIMIT_BYTES} bytes; rebuild it"):
        find_plan(bundle, KEY)


def test_a_plan_of_another_precision_than_its_key_is_refused(bundle: Bundle) -> None:
    content = plan_json(bundle, KEY, PLANS)
    content["plans"][0]["precision"] = "int8"
    put_plan(bundle, plans=content["plans"])
    with pytest.raises(BundleError, match=r"segmentation is int8, the key sm87-trt10.3.0-fp32 says fp32"):
        find_plan(bundle, KEY)


def test_a_classifier_in_two_parts_is_known(bundle: Bundle) -> None:
    content = plan_json(bundle, KEY, PLANS)
    segmentation, classifier = content["plans"]
    folder = put_plan(bundle, plans=[segmentation, *(classifier | {"name": name} for name in ("raw", "guided"))])
    (folder / "raw.plan").write_bytes(PLANS["classifier"])
    plan = find_plan(bundle, KEY)
    assert plan.names == ("segmentation", "raw", "guided")
    assert plan.read("raw") == PLANS["classifier"]

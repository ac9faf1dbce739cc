from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import BundleError, open_bundle
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE

Write = Callable[..., Path]


def test_a_whole_bundle_opens_and_names_itself(write_bundle: Write) -> None:
    bundle = open_bundle(write_bundle())
    assert bundle.class_names == ("no_ridge", "ridge")
    assert bundle.facts.name == "test"
    assert bundle.read("classifier.fp32.onnx") == b"classifier graph"


def test_every_result_of_a_demonstration_says_so(write_bundle: Write) -> None:
    assert open_bundle(write_bundle()).facts.notice == f"{AID_NOTICE} {DEMONSTRATION_NOTICE}"
    assert open_bundle(write_bundle(clinical_use=True)).facts.notice == AID_NOTICE


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schema": "rop.bundle/2"}, "schema is 'rop.bundle/2', this version reads 'rop.bundle/1'"),
        ({"disease": "diabetic retinopathy"}, "made for 'diabetic retinopathy'"),
        ({"classes": [{"name": "a", "meaning": "m", "refer": True}]}, "classes"),
        ({"classes": [{"name": n, "meaning": "m", "refer": True} for n in "ab"]}, "at least one must not"),
        ({"classes": [{"name": "a", "meaning": "m", "refer": r} for r in (True, False)]}, "names must differ"),
        ({"refer_threshold": 0.0}, "refer_threshold"),
        ({"refer_threshold": float("nan")}, "NaN is not a number"),
        ({"refer_threshold": "0.5"}, "refer_threshold"),
        ({"refer_threshold": True}, "refer_threshold"),
        ({"clinical_use": "false"}, "clinical_use"),
        ({"clinical_use": 0}, "clinical_use"),
        ({"classes": [{"name": n, "meaning": "m", "refer": r} for n, r in (("a", "no"), ("b", True))]}, "refer"),
        ({"classes": [{"name": n, "meaning": "m", "refer": r} for n, r in (("a", 0), ("b", 1))]}, "refer"),
        ({"surprise": 1}, "surprise"),
        ({"files": [{"path": "../etc/passwd", "size": 1, "sha256": "0" * 64}]}, "inside the bundle"),
        ({"files": [{"path": "a\0b", "size": 1, "sha256": "0" * 64}]}, "without control characters"),
        ({"files": [{"path": "a\nb", "size": 1, "sha256": "0" * 64}]}, "without control characters"),
        ({"files": [{"path": "x" * 256, "size": 1, "sha256": "0" * 64}]}, "at most 255 bytes"),
        ({"files": [{"path": "a", "size": 10**18, "sha256": "0" * 64}]}, "size"),
        ({"files": [{"path": "a", "size": "1", "sha256": "0" * 64}]}, "size"),
        ({"files": [{"path": "/etc/passwd", "size": 1, "sha256": "0" * 64}]}, "inside the bundle"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    write_bundle: Write, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(BundleError, match=expected.replace("(", r"\(")):
        open_bundle(write_bundle(**changes))


def test_a_missing_folder_says_what_a_bundle_is(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest.json cannot be read .*expected a bundle's folder"):
        open_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'"text"', b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(write_bundle: Write, content: bytes) -> None:
    folder = write_bundle()
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError):
        open_bundle(folder)


def test_a_manifest_that_says_a_thing_twice_is_refused(write_bundle: Write) -> None:
    folder = write_bundle()
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"refer": true', '"refer": true, "refer": false'))
    with pytest.raises(BundleError, match="'refer' stands twice"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["manifest.json", "classifier.fp32.onnx"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_would_keep_it_waiting_is_refused(write_bundle: Write, name: str, kind: str) -> None:
    folder = write_bundle()
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "folder":
        (folder / name).mkdir()
    else:
        (folder / name).symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=f"{name} cannot be read .not a regular file"):
        open_bundle(folder)


def test_a_missing_file_is_named(write_bundle: Write) -> None:
    folder = write_bundle()
    (folder / "classifier.fp32.onnx").unlink()
    with pytest.raises(BundleError, match=r"classifier.fp32.onnx cannot be read"):
        open_bundle(folder)


@given(place=st.integers(0, 17), bit=st.integers(0, 7), name=st.sampled_from(["segmentation", "classifier"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_one_flipped_bit_in_a_graph_is_found(write_bundle: Write, place: int, bit: int, name: str) -> None:
    folder = write_bundle()
    path = folder / f"{name}.fp32.onnx"
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(BundleError, match="was altered"):
        open_bundle(folder)


def test_a_longer_or_shorter_file_is_found(write_bundle: Write) -> None:
    folder = write_bundle()
    path = folder / "classifier.fp32.onnx"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BundleError, match="has more bytes, expected 16"):
        open_bundle(folder)
    path.write_bytes(b"x")
    with pytest.raises(BundleError, match="has 1 bytes, expected 16"):
        open_bundle(folder)


def test_a_file_changed_after_opening_is_found_when_read(write_bundle: Write) -> None:
    folder = write_bundle()
    bundle = open_bundle(folder)
    (folder / "classifier.fp32.onnx").write_bytes(b"classifier gropH")
    with pytest.raises(BundleError, match="was altered"):
        bundle.read("classifier.fp32.onnx")


def test_a_precision_that_is_not_there_says_what_is(write_bundle: Write) -> None:
    bundle = open_bundle(write_bundle())
    assert bundle.resolve_precision("openvino", "auto") == {"segmentation": "fp32", "classifier": "fp32"}
    with pytest.raises(BundleError, match="no int8 graph of the segmentation network, it holds: fp32"):
        bundle.resolve_precision("openvino", "int8")


def test_the_bundle_is_identified_by_its_manifest(write_bundle: Write) -> None:
    folder = write_bundle()
    before = open_bundle(folder).sha256
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(content | {"refer_threshold": 0.6}))
    assert open_bundle(folder).sha256 != before

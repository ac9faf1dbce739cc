"""Model repositories: what lies in them, read by Triton's own definition, and what the server's graphs give."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format

from build_engines.__main__ import main
from build_engines.arguments import SERVER_BACKENDS
from build_engines.triton import settings
from build_engines.triton.configs import read_text
from build_engines.triton.graphs import marking_graph, tensors_of, with_free_batch
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.engines.load_openvino import open_core
from runtime.engines.triton.contract import MARK_BYTES, contract_of, model_name, read_mark
from runtime.plan_key import PlanKey
from tests.runtime.engines.tiny import tiny_bundle
from tests.runtime.plan_json import plan_json


@pytest.fixture
def tiny(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "bundle")


def config_of(repository: Path, name: str) -> Any:
    return read_text((repository / name / "config.pbtxt").read_text())


def add_plans(bundle: Bundle, *words: str) -> None:
    for word in words:
        key = PlanKey.parse(word)
        folder = bundle.path / "plans" / word
        folder.mkdir(parents=True)
        contents = {"segmentation": f"seg {word}".encode(), "classifier": f"cls {word}".encode()}
        for name, content in contents.items():
            (folder / f"{name}.plan").write_bytes(content)
        (folder / "plan.json").write_text(json.dumps(plan_json(bundle, key, contents)))


def test_the_command_line_knows_the_backends() -> None:
    assert SERVER_BACKENDS == settings.BACKENDS


def test_an_ensemble_takes_an_image_and_gives_what_carts_ask_for(
    tiny: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    assert main(["triton", str(tiny.path), "--out", str(out), "--batch", "4", "--instances", "3"]) == 0
    assert f"--engine triton://HOST:8001/{model_name(tiny)}" in capsys.readouterr().out
    whole = config_of(out, model_name(tiny))
    contract = contract_of(tiny, encoded=6)
    assert whole.platform == "ensemble"
    assert whole.max_batch_size == 4
    assert [(one.name, tuple(one.dims)) for one in whole.output] == [
        (tensor.name, tensor.shape[1:]) for tensor in contract.outputs
    ]
    said = {key: value.string_value for key, value in whole.parameters.items()}
    assert (said["bundle_sha256"], said["precision"]) == (tiny.sha256, "fp32")
    assert list(whole.version_policy.specific.versions) == [1]
    assert (out / model_name(tiny) / "1").is_dir(), "the server wants a folder for an ensemble's version, too"
    given = {whole.input[0].name}
    for step in whole.ensemble_scheduling.step:
        part = config_of(out, step.model_name)
        assert (part.backend, part.max_batch_size, step.model_version) == ("onnxruntime", 4, 1)
        assert part.instance_group[0].count == 3
        assert part.dynamic_batching.default_queue_policy.max_queue_size == 64
        assert {warm.batch_size for warm in part.model_warmup} == {1, 4}
        assert set(step.input_map) == {one.name for one in part.input}
        assert set(step.output_map) == {one.name for one in part.output}
        assert set(step.input_map.values()) <= given, "taken before it is given"
        given |= set(step.output_map.values())
        tensors = tensors_of((out / step.model_name / "1" / "model.onnx").read_bytes())
        for one in (*part.input, *part.output):
            assert tensors[one.name][1] == (-1, *one.dims)
    assert {one.name for one in whole.output} <= given


def test_the_whole_repository_gives_what_the_bundle_gives(tiny: Bundle, tmp_path: Path) -> None:
    """The ensemble's steps one after the other, by the files that lie there; two frames at once."""
    from runtime.engines import load_engine

    out = tmp_path / "models"
    assert main(["triton", str(tiny.path), "--out", str(out)]) == 0
    images = np.random.default_rng(5).integers(0, 256, (2, 256, 256, 3), np.uint8)
    tensors = {"image": images}
    core, exact = open_core(), {"INFERENCE_PRECISION_HINT": "f32"}
    for step in config_of(out, model_name(tiny)).ensemble_scheduling.step:
        model = core.compile_model(core.read_model(out / step.model_name / "1" / "model.onnx"), "CPU", exact)
        found = model({one: tensors[step.input_map[one]] for one in step.input_map})
        tensors |= {step.output_map[one]: found[model.output(one)].copy() for one in step.output_map}
    with load_engine(tiny, "openvino", "fp32") as engine:
        for number, image in enumerate(images):
            one = engine.infer(image[np.newaxis])
            assert np.abs(one.probabilities - tensors["probabilities"][number]).max() < 1e-5
            assert np.abs(one.vessels - tensors["vessels"][number, 0]).max() < 1e-5
            assert np.abs(tensors["features_2"][number].mean((1, 2)) - tensors["encoded"][number, :3]).max() < 1e-5
            assert read_mark(tensors["read_by"][number][np.newaxis]) == (tiny.sha256, "fp32")


@pytest.mark.parametrize("batch", [1, -1])
def test_the_marking_graph(batch: int) -> None:
    shapes = {"features_2": (batch, 4, 8, 8), "features_3": (batch, 6, 4, 4)}
    graph = marking_graph(shapes, "ab" * 32, "int8+fp16")
    assert tensors_of(graph)["read_by"] == ("UINT8", (batch, MARK_BYTES))
    assert tensors_of(graph)["encoded"] == ("FP32", (batch, 10))


def test_a_free_batch_changes_shapes_only(tiny: Bundle) -> None:
    before = onnx.load_from_string(tiny.graph("classifier.fp32.onnx"))
    after = onnx.load_from_string(with_free_batch(tiny.graph("classifier.fp32.onnx")))
    assert list(after.graph.node) == list(before.graph.node)
    assert list(after.graph.initializer) == list(before.graph.initializer)
    assert all(value.type.tensor_type.shape.dim[0].dim_param == "batch" for value in after.graph.output)


def test_plans_by_architecture(tiny: Bundle, tmp_path: Path) -> None:
    add_plans(tiny, "sm87-trt10.3.0-fp32", "sm120-trt10.3.0-fp32", "sm86-rtx1.7.1-fp32")
    out = tmp_path / "models"
    assert main(["triton", str(tiny.path), "--out", str(out), "--name", "eye"]) == 0
    for network, word in (("segmentation", "seg"), ("classifier", "cls")):
        part = config_of(out, f"eye-{network}")
        assert (part.backend, part.max_batch_size) == ("tensorrt", 0)
        assert dict(part.cc_model_filenames) == {"8.7": "model.sm87.plan", "12.0": "model.sm120.plan"}
        assert (out / f"eye-{network}" / "1" / "model.sm120.plan").read_text() == f"{word} sm120-trt10.3.0-fp32"
        assert all(one.dims[0] == 1 for one in (*part.input, *part.output))
    assert config_of(out, "eye-mark").backend == "onnxruntime"


def test_an_altered_plan_is_not_passed_on(tiny: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_plans(tiny, "sm87-trt10.3.0-fp32")
    (tiny.path / "plans" / "sm87-trt10.3.0-fp32" / "classifier.plan").write_bytes(b"cls sm87-trt10.3.0-fp33")
    assert main(["triton", str(tiny.path), "--out", str(tmp_path / "models")]) == 2
    assert "was altered" in capsys.readouterr().err
    assert not list((tmp_path / "models").iterdir())


def test_the_demonstration_and_this_software_on_the_server(tmp_path: Path) -> None:
    out = tmp_path / "models"
    assert main(["triton", str(DEMONSTRATION), "--out", str(out), "--backend", "python", "--name", "eye"]) == 0
    config = config_of(out, "eye")
    assert (config.backend, config.max_batch_size) == ("python", 1)
    assert "precision" not in config.parameters, "the server's machine chooses"
    copied = open_bundle(out / "eye" / "1" / "bundle")
    assert copied.sha256 == open_bundle(DEMONSTRATION).sha256
    compile((out / "eye" / "1" / "model.py").read_text(), "model.py", "exec")


def test_making_it_again_replaces_ours_and_leaves_others(
    tiny: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models"
    (out / "theirs").mkdir(parents=True)
    (out / "theirs" / "config.pbtxt").write_text('backend: "python"\n')
    command = ["triton", str(tiny.path), "--out", str(out), "--name"]
    assert main([*command, "eye"]) == main([*command, "eye"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "eye", "eye-classifier", "eye-mark", "eye-segmentation", "theirs"
    ]  # fmt: skip
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".models-")], "left over"
    assert main([*command, "theirs"]) == 2
    assert "theirs: is there and not of rop.triton/1" in capsys.readouterr().err
    assert (out / "theirs" / "config.pbtxt").read_text() == 'backend: "python"\n'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--precision", "int8"], "no int8 graph of the segmentation"),
        (["--precision", "fp8"], "--precision: precision 'fp8'"),
        (["--name", "../eye"], "--name: got '../eye'"),
        (["--backend", "tensorrt"], "no such TensorRT plan; build it where the server runs"),
        (["--plans", "sm87-trt10.3.0-fp32"], "runs none; leave it out"),
        (["--batch", "0"], "--batch: got 0, expected 1 to 4096"),
        (["--wait-ms", "-1"], "--wait-ms: got -1"),
    ],
)
def test_a_wrong_call_is_one_line(
    tiny: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["triton", str(tiny.path), "--out", str(tmp_path / "models"), *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_plans_of_several_releases_have_to_be_chosen(
    tiny: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_plans(tiny, "sm87-trt10.3.0-fp32", "sm87-trt10.9.0-fp32")
    command = ["triton", str(tiny.path), "--out", str(tmp_path / "models")]
    assert main(command) == 2
    assert "of several releases" in capsys.readouterr().err
    assert main([*command, "--plans", "sm87-trt10.4.0-fp32"]) == 2
    assert "has no plan sm87-trt10.4.0-fp32, but" in capsys.readouterr().err
    assert main([*command, "--plans", "sm87-trt10.9.0-fp32"]) == 0


@pytest.mark.parametrize("what", ["bundle", "file", "link"])
def test_what_is_no_repository_is_left_alone(
    tiny: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    out = tmp_path / "out"
    if what == "bundle":
        shutil.copytree(tiny.path, out)
    elif what == "file":
        out.write_text("x")
    else:
        out.symlink_to(tmp_path / "elsewhere")
    assert main(["triton", str(tiny.path), "--out", str(out)]) == 2
    assert f"--out {out}: is" in capsys.readouterr().err


def test_a_spelling_mistake_is_one_of_the_definition() -> None:
    with pytest.raises(text_format.ParseError):
        read_text("max_batch_sise: 8")

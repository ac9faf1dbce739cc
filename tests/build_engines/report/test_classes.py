"""Reports measured as on lesser CPUs, and reports that are written into their bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from build_engines.__main__ import main
from build_engines.errors import BuildError
from build_engines.report import classes
from build_engines.report.adopt import adopt
from build_engines.report.classes import measure_as, require_classes
from build_engines.report.schema import ParityReport
from build_engines.report.store import read_report
from runtime import open_bundle
from runtime.cpu_class import LIMIT
from runtime.manifest import Precision
from tests.build_engines.report.figures import report
from tests.runtime.engines.tiny import tiny_bundle


@pytest.mark.parametrize(
    ("own", "text", "expected"), [("amx", "vnni,avx2", ("vnni", "avx2")), ("vnni", "avx2, avx2", ("avx2",))]
)
def test_lesser_classes_can_be_stood_for(
    own: str, text: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classes, "cpu_class", lambda: own)
    assert require_classes(text) == expected


@pytest.mark.parametrize(("own", "text"), [("vnni", "amx"), ("amx", "amx"), ("avx2", "sse"), (None, "avx2")])
def test_others_are_refused(own: str | None, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "cpu_class", lambda: own)
    with pytest.raises(BuildError, match=f"--cpu-class: got '{text}'; this CPU"):
        require_classes(text)


def answering(patch: pytest.MonkeyPatch, stdout: str, code: int = 0) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        seen.update(command=command, limit=options["env"][LIMIT])
        return subprocess.CompletedProcess(command, code, stdout, "a line\nthe last line\n")

    patch.setattr("build_engines.report.classes.subprocess.run", run)
    return seen


def test_a_process_held_to_the_class_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    held = report(cpu_class="avx2", held_to="AVX2")
    seen = answering(monkeypatch, held.model_dump_json(by_alias=True), 1)  # its default is out of tolerance: no matter
    assert measure_as("avx2", Path("bundle"), ["--data", "frames.csv"]) == held
    assert seen["limit"] == "AVX2"
    assert seen["command"][3:] == ["report", "bundle", "--data", "frames.csv", "--json"]


def test_a_process_that_fails_or_ran_as_another_class_gives_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "", 2)
    with pytest.raises(BuildError, match="--cpu-class avx2: measuring failed: the last line"):
        measure_as("avx2", Path("bundle"), [])
    answering(monkeypatch, report(cpu_class="amx").model_dump_json(by_alias=True))
    with pytest.raises(BuildError, match="--cpu-class avx2: ran as amx"):
        measure_as("avx2", Path("bundle"), [])


def test_a_report_is_adopted_and_nothing_else_changes(tmp_path: Path) -> None:
    before = tiny_bundle(tmp_path / "bundle")
    found = report(("fp32", "fp32"), "amx").model_copy(update={"others": (report(("fp32", "fp32"), "avx2", "AVX2"),)})
    after = adopt(before, found)
    assert read_report(after) == found
    assert set(after.manifest.default_precision) == {"openvino", "openvino/avx2", "openvino/amx"}
    assert "Default on a CPU of class avx2" in (after.path / "MODEL_CARD.md").read_text()
    for network in ("segmentation", "classifier"):
        assert after.read(f"{network}.fp32.onnx") == before.read(f"{network}.fp32.onnx")
    assert after.manifest.classes == before.manifest.classes


def test_what_was_measured_on_other_classes_of_cpu_stays(tmp_path: Path) -> None:
    fp32: tuple[Precision, Precision] = ("fp32", "fp32")
    int8: tuple[Precision, Precision] = ("int8", "int8")
    bundle = adopt(tiny_bundle(tmp_path / "bundle"), report(fp32, "avx2"))
    bundle = adopt(bundle, report(fp32, "amx").model_copy(update={"others": (report(int8, "vnni", "AVX2_VNNI"),)}))
    assert [found.machine.cpu_class for found in read_report(bundle).others] == ["vnni", "avx2"]
    bundle = adopt(bundle, report(int8, "avx2", "AVX2"))
    held = read_report(bundle)
    assert [found.machine.cpu_class for found in (held, *held.others)] == ["avx2", "amx", "vnni"]
    assert bundle.manifest.default_precision["openvino"] == report(int8).chosen


def test_a_report_from_before_there_were_classes_gets_its_own_from_what_the_cpu_had() -> None:
    old = report().model_dump(mode="json", by_alias=True)
    for name in ("cpu_class", "held_to"):
        del old["machine"][name]
    assert ParityReport.model_validate(old | {"others": []}).machine.cpu_class == "avx2"


@pytest.mark.parametrize("arguments", [["--adopt"], ["--cpu-class", "avx2"]])
def test_what_the_build_found_is_not_adopted_again(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    assert main(["report", str(bundle.path), *arguments]) == 2
    assert "give --measure or --data, too" in capsys.readouterr().err
    assert open_bundle(bundle.path).sha256 == bundle.sha256


def test_a_bundle_measured_on_its_own_frames_is_adopted_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    names = []
    for number in range(1, 5):
        shutil.copy(Path("runtime/bundles/demonstration/selftest") / f"frame_{number}.png", tmp_path)
        names.append(f"frame_{number}.png,{number % 2}")
    (tmp_path / "labels.csv").write_text("\n".join(["image,refer", *names]) + "\n")
    assert main(["report", str(bundle.path), "--data", str(tmp_path / "labels.csv"), "--adopt", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    adopted = open_bundle(bundle.path)
    assert json.loads(adopted.read("parity.json")) == shown
    assert adopted.sha256 != bundle.sha256

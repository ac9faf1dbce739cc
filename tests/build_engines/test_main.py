from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from build_engines.__main__ import main
from build_engines.description import plain_description
from build_engines.segimgnet import NetworkSize, SegImgNet
from build_engines.segimgnet.checkpoint import save_checkpoint
from runtime import open_bundle

pytestmark = pytest.mark.usefixtures("exported_once")
TINY = NetworkSize("tiny", (4, 8, 8, 8, 8), (8, 8, 8, 8), (1, 1, 1, 1), 8)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_checkpoint(SegImgNet(TINY, classes=3, layer_scale=0.5), tmp_path / "trained.pth")
    return tmp_path / "trained.pth"


def test_checkpoint_to_bundle_with_simulated_frames(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "--out", str(tmp_path / "bundle"), "--check-count", "1"]) == 0
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.class_names == ("class_0", "class_1", "class_2")
    out, err = capsys.readouterr()
    assert "trained 0" in out
    assert "no description" in err


def test_the_description_beside_the_checkpoint_is_taken(tmp_path: Path, checkpoint: Path) -> None:
    plain_description("described", 3).save(checkpoint.with_suffix(".json"))
    Image.fromarray(np.full((100, 100, 3), 90, np.uint8)).save(tmp_path / "a.png")
    arguments = [str(checkpoint), "--out", str(tmp_path / "bundle"), "--check-images", str(tmp_path / "a.png")]
    assert main(arguments) == 0
    assert open_bundle(tmp_path / "bundle").manifest.name == "described"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.unlink(), "trained.pth"),
        (lambda p: p.write_bytes(b"not a checkpoint"), "trained.pth"),
        (lambda p: p.with_suffix(".json").write_text("{"), "not JSON"),
    ],
    ids=["missing", "no checkpoint", "spoilt description"],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], spoil: object, message: str
) -> None:
    spoil(checkpoint)  # type: ignore[operator]
    assert main([str(checkpoint), "--out", str(tmp_path / "bundle")]) == 2
    err = capsys.readouterr().err.strip()
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "bundle").exists()


def test_a_build_that_is_ended_leaves_nothing_and_says_so(tmp_path: Path, checkpoint: Path) -> None:
    out = tmp_path / "made" / "bundle"
    words = [sys.executable, "-m", "build_engines", str(checkpoint), "--out", str(out)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as program:
        assert program.stderr is not None
        said = ""
        while "exporting both graphs" not in said:
            said = program.stderr.readline()
            assert said, "it ended before"
        assert [path.name[:15] for path in out.parent.iterdir()] == [".bundle.making-"]
        program.terminate()
        rest = program.stderr.read()
    assert program.returncode == 143
    assert "stopped; nothing was written" in rest
    assert list(out.parent.iterdir()) == []


def test_a_folder_without_pictures_cannot_be_checked_on(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = [str(checkpoint), "--out", str(tmp_path / "bundle"), "--check-images", str(tmp_path / "empty")]
    assert main(arguments) == 2
    assert "--check-images" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("bad allocation: Failed to allocate memory for requested buffer of size 4"),
    ],
)
def test_out_of_memory_is_one_line_and_code_2(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(arguments: object) -> int:
        raise error

    monkeypatch.setattr("build_engines.command.run", fail)
    assert main([str(tmp_path / "x.pth"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("out of memory; nothing was written.")
    assert len(said.splitlines()) == 1


def test_another_fault_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(arguments: object) -> int:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("build_engines.command.run", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        main([str(tmp_path / "x.pth"), "--out", str(tmp_path / "out")])

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration import CalibrationSet, open_set
from calibration.__main__ import main
from calibration.commands import progress
from calibration.sources import Sources
from tests.calibration.conftest import PICTURES, write_picture

pytestmark = pytest.mark.usefixtures("fake_networks")
Make = Callable[..., CalibrationSet]


@pytest.fixture(autouse=True)
def no_word_of_how_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes its time says how far it is; here all that is said is looked at."""
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", math.inf)


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_create(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("create", photos, "--out", tmp_path / "set", "--count", 10, "--seed", 3, "--device", "Neo") == 0
    made = open_set(tmp_path / "set")
    assert (len(made.facts.frames), made.facts.seed, made.facts.devices) == (10, 3, {"Neo": 10})
    out = capsys.readouterr().out
    assert f"10 frames of {PICTURES} usable ones (10 Neo)" in out
    assert made.sha256 in out
    assert "Doe" not in out


def test_create_as_json(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("create", photos, "--out", tmp_path / "set", "--count", 5, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sha256"] == open_set(tmp_path / "set").sha256
    assert (result["frames"], result["usable"]) == (5, PICTURES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "'nowhere': no such file or folder"),
        (("sim:",), "--frames N"),
        (("sim:seed=x", "--frames", "3"), "seed got 'x'"),
        (("PHOTOS", "--count", "500"), "needed 500, found 30; refused: none"),
        (("PHOTOS", "--bundle", "nowhere"), "manifest.json cannot be read"),
        (("PHOTOS", "--exclude", "nowhere.csv"), "table nowhere.csv: cannot be read"),
        (("PHOTOS", "--out", "PHOTOS"), "holds files but no set.json"),
        (("PHOTOS", "--out", "/dev/null/set"), "cannot be written"),
    ],
)
def test_what_is_unusable_is_one_line_and_code_2(
    words: tuple[str, ...], expected: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.replace("PHOTOS", str(photos)) for word in words]
    assert run("create", "--out", tmp_path / "set", *given) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("calibration create: ")
    assert expected in lines[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [(), ("create",), ("create", "x"), ("create", "x", "--out", "y", "--count", "0"), ("destroy", "x"),
     ("create", "x", "--out", "y", "--held-out", "1.5"), ("compare", "a"), ("inspect",)],
)  # fmt: skip
def test_a_wrong_call_is_code_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: python -m calibration" in capsys.readouterr().err


def test_inspect(made: CalibrationSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", made.path, "--out", tmp_path / "report") == 0
    out = capsys.readouterr().out
    for word in ("12 frames of 30 usable ones", made.sha256, "vessel_density", "median", "demonstration-edge"):
        assert word in out
    for name in ("montage.png", "histograms.png"):
        picture = cv2.imread(str(tmp_path / "report" / name))
        assert picture is not None
        assert min(picture.shape[:2]) > 200
    assert open_set(made.path).facts == made.facts


def test_inspect_writes_inside_the_set_when_not_told(made: CalibrationSet, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", made.path, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pictures"] == [str(made.path / "report" / name) for name in ("montage.png", "histograms.png")]
    assert result["frames"] == 12
    assert result["statistics"]["detail"]["median"] == made.facts.statistics["detail"].median
    assert open_set(made.path).sha256 == made.sha256


def test_inspect_refuses_an_altered_set(made: CalibrationSet, capsys: pytest.CaptureFixture[str]) -> None:
    (made.path / "frame_0003.png").write_bytes(b"")
    assert run("inspect", made.path) == 2
    assert "frame_0003.png was altered" in capsys.readouterr().err
    assert not (made.path / "report").exists()


def folder_of(path: Path, first_seed: int, gain: float) -> Path:
    for number in range(24):
        write_picture(path / f"{number}.png", first_seed + number, gain + 0.02 * number)
    return path


def test_compare_alike_and_drifted(
    made: CalibrationSet, make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alike = folder_of(tmp_path / "alike", 100, 0.75)
    assert run("compare", made.path, alike) == 0
    assert "ALIKE" in capsys.readouterr().out
    darker = folder_of(tmp_path / "darker", 200, 0.4)
    assert run("compare", made.path, darker, "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"] == "drifted"
    assert "brightness" in result["drifted"]
    assert "redness" not in result["drifted"]
    make(sources=Sources((str(darker),)), out=tmp_path / "other", count=20)
    assert run("compare", made.path, tmp_path / "other") == 1
    out = capsys.readouterr().out
    assert "DRIFTED: brightness" in out


def test_a_set_chosen_from_a_cart_s_frames_is_like_these_frames(
    made: CalibrationSet, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The chosen frames are spread on purpose; that alone must not look like a drift."""
    assert run("compare", made.path, photos, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert all(feature["ks"] < 1e-9 for feature in result["features"])


def test_compare_needs_enough_frames(made: CalibrationSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        write_picture(tmp_path / "few" / f"{number}.png", number)
    write_picture(tmp_path / "few" / "dark.png", 9, 0.1)
    assert run("compare", made.path, tmp_path / "few") == 2
    assert "needed 20, found 5; refused: 1 too dark" in capsys.readouterr().err


def test_densities_of_different_bundles_cannot_be_compared(
    made: CalibrationSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from calibration.opened import digest

    path = made.path / "set.json"
    content: dict[str, Any] = json.loads(path.read_text())
    content["bundle"].update(name="site-7", segmentation_sha256="0" * 64)
    content["sha256"] = digest(content)
    path.write_text(json.dumps(content))
    assert run("compare", made.path, folder_of(tmp_path / "cart", 100, 0.7)) == 2
    assert "told by bundle site-7 4, the other's by demonstration-edge 4" in capsys.readouterr().err


def test_ctrl_c_leaves_nothing(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("calibration.commands.progress.GatherLine.__call__", interrupted)
    assert run("create", photos, "--out", tmp_path / "set") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_program_of_its_own(tmp_path: Path) -> None:
    """With the real networks, as a user calls it."""
    words = ["create", "sim:device=retcam,frames_per_eye=1", "--frames", "4", "--out", str(tmp_path / "set")]
    done = subprocess.run(
        [sys.executable, "-m", "calibration", *words, "--count", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = open_set(tmp_path / "set")
    assert made.facts.bundle.engine == "openvino fp32"
    assert all(0.01 < frame.features["vessel_density"] < 0.4 for frame in made.facts.frames)
    assert np.ptp(made.frames()) > 100

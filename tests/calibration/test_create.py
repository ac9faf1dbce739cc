from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import CalibrationError, CalibrationSet, TooFewFrames, create_set, open_set
from calibration.keep_out import KeepOut
from calibration.sources import Sources
from device.errors import SourceNotFound
from device.frame import Frame
from runtime.engines.fake import FakeEngine, Fault
from runtime.errors import EngineError
from runtime.screener import Screener
from runtime.sinks.jsonl import JsonLinesSink
from tests.calibration.conftest import PICTURES, write_picture
from tests.pictures import retina, stored_bgr

Make = Callable[..., CalibrationSet]


def pixel_hashes(made: CalibrationSet) -> list[str]:
    return [frame.pixels_sha256 for frame in made.facts.frames]


def chunks(content: bytes) -> Iterator[bytes]:
    """Names of a PNG's chunks."""
    at = 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        yield content[at + 4 : at + 8]
        at += 12 + length


def test_nothing_of_the_source_is_in_the_set(made: CalibrationSet, photos: Path) -> None:
    assert sorted(path.name for path in made.path.iterdir()) == [*(f"frame_{i:04d}.png" for i in range(12)), "set.json"]
    for path in made.path.iterdir():
        content = path.read_bytes()
        assert b"Doe" not in content
        assert photos.name.encode() not in content
        if path.suffix == ".png":
            assert set(chunks(content)) == {b"IHDR", b"IDAT", b"IEND"}


def test_metadata_of_the_source_stays_behind(make: Make, tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("PatientName", "Doe^Jane")
    (tmp_path / "in").mkdir()
    Image.fromarray(retina()).save(tmp_path / "in" / "a.png", pnginfo=text)
    made = make(sources=Sources((str(tmp_path / "in"),)), count=1)
    assert b"PatientName" not in (made.path / "frame_0000.png").read_bytes()


def test_the_seed_decides(make: Make, tmp_path: Path) -> None:
    first, again = make(out=tmp_path / "a", seed=5), make(out=tmp_path / "b", seed=5)
    assert first.facts == again.facts
    other = make(out=tmp_path / "c", seed=6)
    assert pixel_hashes(other) != pixel_hashes(first)


def test_why_each_was_chosen(made: CalibrationSet) -> None:
    facts = made.facts
    distances = [frame.distance for frame in facts.frames]
    assert distances[0] is None
    assert distances[1:] == sorted((d for d in distances[1:] if d is not None), reverse=True)
    assert facts.covering_distance <= (distances[-1] or 0)
    assert facts.population.frames == PICTURES
    assert [frame.rank for frame in facts.frames] == list(range(12))


def test_vessel_density_is_the_readings_vessel_fraction(make: Make) -> None:
    from runtime.bundle import open_bundle
    from runtime.quality import TORN

    made = make(count=PICTURES)
    with Screener(open_bundle(), engine=FakeEngine(), trust="off") as screener:
        for facts, pixels in zip(made.facts.frames, made.frames(), strict=True):
            reading = screener.screen(Frame(np.ascontiguousarray(pixels), 0, ""))
            if TORN in reading.reason:
                continue  # as small as it is kept, one of the drawn ones looks put together
            assert facts.features["vessel_density"] == pytest.approx(reading.vessel_fraction, abs=1e-3)
            assert reading.quality is not None
            assert facts.features["detail"] == pytest.approx(reading.quality.measures["detail"], abs=1e-6)


def test_ungradable_unreadable_and_repeated_frames_are_refused(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    for seed in range(3):
        write_picture(folder / f"{seed}.png", seed)
    again = stored_bgr(folder / "0.png")
    assert cv2.imwrite(str(folder / "again.jpg"), again, [cv2.IMWRITE_JPEG_QUALITY, 85])
    write_picture(folder / "dark.png", 4, 0.1)
    assert cv2.imwrite(str(folder / "grey.png"), np.full((240, 320, 3), 128, np.uint8))
    assert cv2.imwrite(str(folder / "small.png"), again[:40, :40])
    (folder / "torn.png").write_bytes((folder / "1.png").read_bytes()[:2000])
    made = make(sources=Sources((str(folder),)), count=3)
    assert {r.reason: r.frames for r in made.facts.refused} == {
        "near-duplicate of another frame": 1,
        "not a retina": 1,
        "not readable": 1,
        "smaller than 64 pixels": 1,
        "too dark": 1,
    }


def test_too_few_says_how_many_and_why(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    for seed in range(4):
        write_picture(folder / f"{seed}.png", seed)
    write_picture(folder / "dark.png", 4, 0.1)
    expected = r"needed 12, found 4; refused: 1 too dark; name more sources, or ask for fewer: --count 4"
    with pytest.raises(TooFewFrames, match=expected) as caught:
        make(sources=Sources((str(folder),)))
    assert (caught.value.needed, caught.value.found, caught.value.refused) == (12, 4, {"too dark": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few"]


def test_a_failure_leaves_the_earlier_set(made: CalibrationSet, make: Make, tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.fault = Fault.NAN_VESSELS
    with pytest.raises(EngineError):
        make(engine=engine)
    with pytest.raises(TooFewFrames):
        make(count=PICTURES + 1)
    assert open_set(made.path).sha256 == made.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_earlier_set_is_replaced_whole(made: CalibrationSet, make: Make, tmp_path: Path) -> None:
    assert len(list(made.path.glob("*.png"))) == 12
    smaller = make(count=3)
    assert len(list(smaller.path.glob("*.png"))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_is_no_set_is_never_replaced(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(CalibrationError, match=r"holds files but no set\.json"):
        make()
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_simulated_frames_know_their_device(make: Make) -> None:
    made = make(sources=Sources(("sim:device=neo,frames_per_eye=1,motion=0",), frames=5), count=2)
    assert made.facts.devices == {"simulated neo": 2}
    assert [(source.kind, source.frames) for source in made.facts.sources] == [("simulated", 5)]


def test_a_source_without_end_needs_a_number(make: Make) -> None:
    with pytest.raises(CalibrationError, match="no known end; say how many frames to look at: --frames N"):
        make(sources=Sources(("sim:",)))


def test_no_such_source(make: Make) -> None:
    with pytest.raises(SourceNotFound):
        make(sources=Sources(("nowhere",)))


def test_a_bound_on_frames(make: Make, photos: Path) -> None:
    assert make(sources=Sources((str(photos),), frames=14)).facts.population.frames == 14


def screened(photos: Path, out: Path, skip: int = 0) -> Path:
    """An output folder of a screening of the photos, of which the first `skip` were not gradable."""
    from device.cameras import open_camera
    from runtime.bundle import open_bundle

    out.mkdir()
    sink = JsonLinesSink(out / "readings.jsonl")
    with open_camera(str(photos)) as camera, Screener(open_bundle(), engine=FakeEngine(), trust="off") as screener:
        while (frame := camera.read()) is not None:
            if frame.sequence < skip:
                frame = Frame(np.zeros((100, 100, 3), np.uint8), frame.sequence, frame.source)
            sink.write(frame, screener.screen(frame))
    sink.close()
    return out


def test_from_readings_only_gradable_ones(make: Make, photos: Path, tmp_path: Path) -> None:
    out = screened(photos, tmp_path / "visit", skip=4)
    made = make(sources=Sources((str(out),), pictures=(str(photos),)))
    assert [(source.kind, source.frames) for source in made.facts.sources] == [("readings", PICTURES)]
    assert made.facts.population.frames == PICTURES - 4
    assert {r.reason: r.frames for r in made.facts.refused} == {"not gradable when it was screened": 4}


def test_readings_whose_pictures_are_gone_or_were_altered(make: Make, photos: Path, tmp_path: Path) -> None:
    out = screened(photos, tmp_path / "visit")
    for path in sorted(photos.iterdir())[5:]:
        (tmp_path / "left").mkdir(exist_ok=True)
        (tmp_path / "left" / path.name).write_bytes(path.read_bytes())
    write_picture(sorted((tmp_path / "left").iterdir())[0], seed=99)
    made = make(sources=Sources((str(out),), pictures=(str(tmp_path / "left"),)))
    assert made.facts.population.frames == PICTURES - 6
    assert [r.frames for r in made.facts.refused] == [6]
    assert "picture was not found" in made.facts.refused[0].reason


def test_no_name_is_not_the_folder_one_stands_in(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "readings.jsonl").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFound, match="'': not a file or folder"):
        make(sources=Sources(("",)))


def test_readings_need_their_pictures(make: Make, photos: Path, tmp_path: Path) -> None:
    out = screened(photos, tmp_path / "visit")
    with pytest.raises(CalibrationError, match="readings hold no pictures; say where these are: --pictures"):
        make(sources=Sources((str(out),)))


@pytest.mark.parametrize("line", ["{", "[]", '{"schema": "rop.reading/2"}', '{"schema": "rop.reading/1"}'])
def test_what_is_no_reading_is_named(make: Make, photos: Path, tmp_path: Path, line: str) -> None:
    out = screened(photos, tmp_path / "visit")
    with (out / "readings.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(CalibrationError, match=rf"readings.jsonl, line {PICTURES + 1}: not a reading"):
        make(sources=Sources((str(out),), pictures=(str(photos),)))


@pytest.mark.data
def test_no_held_out_frame_of_hvdropdb_enters(data_root: Path, tmp_path: Path) -> None:
    from build_engines.train.data import ridge_frames, split_frames, vessel_frames

    parts = ("hvdropdb_vessels", "hvdropdb_disc", "hvdropdb_ridge")
    tables = tuple(data_root / part / "labels.csv" for part in parts)
    made = create_set(
        Sources(tuple(str(data_root / part / "images") for part in parts)),
        tmp_path / "set",
        count=128,
        keep_out=KeepOut(split_tables=tables),
        engine=FakeEngine(),
    )
    from device.cameras.files import decode

    held_out = split_frames((*vessel_frames(data_root), *ridge_frames(data_root))).held_out
    hashes = {Frame(decode(f.image), 0, "").sha256 for f in held_out if f.infant}
    assert hashes
    assert not hashes & set(pixel_hashes(made))
    assert set(made.facts.devices) == {"RetCam", "Neo"}
    assert sum(exclusion.frames for exclusion in made.facts.exclusions) >= len(hashes)


def test_the_set_says_what_it_was_made_with(made: CalibrationSet) -> None:
    content = json.loads((made.path / "set.json").read_text())
    assert content["schema"] == "rop.calibration/1"
    assert content["bundle"]["name"] == "demonstration-edge"
    assert content["input"]["width"] == 256
    assert {"numpy", "openvino"} <= set(content["tools"])

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from build_engines.train.data import ridge_frames, vessel_frames
from calibration import CalibrationError, CalibrationSet
from calibration.keep_out import KeepOut
from calibration.sources import Sources
from calibration.split import held_out
from calibration.tables import listed_beside, read_table
from tests.calibration.conftest import write_picture
from tests.pictures import stored_bgr

Make = Callable[..., CalibrationSet]
COUNT = 20


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A data set of 20 pictures in 10 groups, devices A and B, with its table."""
    folder = tmp_path / "dataset"
    lines = ["image,device,frame_group"]
    for number in range(COUNT):
        write_picture(folder / "images" / f"{number:02d}.png", number, 0.8 + 0.01 * number)
        lines.append(f"images/{number:02d}.png,{'AB'[number % 2]},g{number // 2}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(made: CalibrationSet) -> dict[str, int]:
    return {refusal.reason: refusal.frames for refusal in made.facts.refused}


def test_the_table_beside_the_pictures_tells_the_device(make: Make, dataset: Path) -> None:
    made = make(sources=Sources((str(dataset / "images"),), device="C"), count=COUNT)
    assert made.facts.devices == {"A": 10, "B": 10}
    one = make(sources=Sources((str(dataset / "images" / "01.png"),)), count=1)
    assert one.facts.devices == {"B": 1}


def test_without_a_table_the_device_is_named_or_unknown(make: Make, photos: Path) -> None:
    assert make().facts.devices == {"unknown": 12}
    assert make(sources=Sources((str(photos),), device="Neo")).facts.devices == {"Neo": 12}


def test_groups_that_training_holds_out_never_enter(make: Make, dataset: Path) -> None:
    share = 0.4
    out = [number for number in range(COUNT) if held_out(f"g{number // 2}", share)]
    assert 0 < len(out) < COUNT
    keep = KeepOut(split_tables=(dataset / "labels.csv",), held_out_share=share)
    made = make(sources=Sources((str(dataset / "images"),)), count=1, keep_out=keep)
    assert refused(made) == {"of the test split": len(out)}
    (facts,) = made.facts.exclusions
    assert (facts.rule, facts.held_out_share, facts.frames) == ("held out", share, len(out))


def test_all_of_an_excluded_table_and_its_groups_stay_out(make: Make, dataset: Path) -> None:
    # Only one frame of group g3 is listed; its sister stays out as well.
    excluded = table(dataset / "test.csv", "image,frame_group", "images/06.png,g3")
    made = make(sources=Sources((str(dataset / "images"),)), count=18, keep_out=KeepOut(tables=(excluded,)))
    assert refused(made) == {"of the test split": 2}


def test_a_copy_of_an_excluded_frame_is_known_by_its_pixels_and_by_its_look(make: Make, dataset: Path) -> None:
    other = dataset.parent / "copies"
    other.mkdir()
    for number in (0, 1, 2, 3):
        picture = stored_bgr(dataset / "images" / f"{number:02d}.png")
        assert cv2.imwrite(str(other / f"renamed{number}.png"), picture)
        small = cv2.resize(picture, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
        assert cv2.imwrite(str(other / f"smaller{number}.jpg"), small)
    excluded = table(dataset / "test.csv", "image", "images/00.png", "images/01.png", "images/02.png")
    made = make(sources=Sources((str(other),)), count=1, keep_out=KeepOut(tables=(excluded,)))
    assert refused(made) == {
        "looking like a frame of the test split": 3,
        "of the test split": 3,
        "near-duplicate of another frame": 1,
    }


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored": lambda picture: picture[:, ::-1],
    "turned": lambda picture: np.rot90(picture),
    "cut all around": lambda picture: picture[
        tuple(slice(round(n * 0.03), -round(n * 0.03)) for n in picture.shape[:2])
    ],
    "cut below": lambda picture: picture[: -(len(picture) // 20)],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("swapped", [False, True])
def test_a_changed_copy_of_an_excluded_frame_is_known_by_its_look(
    make: Make, dataset: Path, change: Callable[[np.ndarray], np.ndarray], swapped: bool
) -> None:
    """Whichever of the two is the whole one."""
    whole = stored_bgr(dataset / "images" / "00.png")
    copy = np.ascontiguousarray(change(whole))
    other = dataset.parent / "copies"
    other.mkdir()
    assert cv2.imwrite(str(other / "0.png"), whole if swapped else copy)
    assert cv2.imwrite(str(dataset / "test.png"), copy if swapped else whole)
    for number in (4, 6):
        assert cv2.imwrite(str(other / f"{number}.png"), stored_bgr(dataset / "images" / f"{number:02d}.png"))
    excluded = table(dataset / "test.csv", "image", "test.png")
    made = make(sources=Sources((str(other),)), count=1, keep_out=KeepOut(tables=(excluded,)))
    assert refused(made) == {"looking like a frame of the test split": 1}


def test_a_frame_to_keep_out_that_is_not_there_stops_everything(make: Make, dataset: Path) -> None:
    (dataset / "images" / "04.png").unlink()
    expected = r"a frame to keep out cannot be looked at: 04\.png: cannot be read \(No such file"
    with pytest.raises(CalibrationError, match=expected):
        make(keep_out=KeepOut(tables=(dataset / "labels.csv",)))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), "got no rows; expected a CSV file with a column image"),
        (("picture,device", "a.png,Neo"), "got picture, device; expected a CSV file with a column image"),
        (("image,device", ",Neo"), "line 2: no image is named"),
        (("image\0", "a.png"), "image"),
    ],
)
def test_what_is_no_table(tmp_path: Path, lines: tuple[str, ...], expected: str) -> None:
    with pytest.raises(CalibrationError, match=expected):
        read_table(table(tmp_path / "odd.csv", *lines))


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"none.csv: cannot be read \(No such file"):
        read_table(tmp_path / "none.csv")


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_cannot_be(share: float) -> None:
    with pytest.raises(CalibrationError, match="expected a share between 0 and 1"):
        KeepOut(held_out_share=share)


@pytest.mark.data
def test_groups_are_named_as_training_names_them(data_root: Path) -> None:
    frames = (*vessel_frames(data_root), *ridge_frames(data_root))
    assert len(frames) > 200
    listed = {folder: listed_beside(folder) for folder in {frame.image.parent for frame in frames}}
    for frame in frames:
        assert listed[frame.image.parent][frame.image.name].group == frame.group

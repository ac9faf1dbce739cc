from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from build_engines.errors import BuildError
from build_engines.report.frames import report_frames
from build_engines.report.schema import ALL
from build_engines.train.data import ridge_frames, split_frames, vessel_frames
from tests.pictures import retina


def test_the_simulated_camera_knows_the_truth() -> None:
    frames = list(itertools.islice(report_frames(None).frames, 2))
    assert all(frame.judged and not frame.held_out and frame.refer is not None for frame in frames)
    assert all(frame.vessels is not None and 0 < (frame.vessels > 127).mean() < 0.5 for frame in frames)
    assert frames[0].image.shape == (1, 256, 256, 3)


def test_a_table_of_labels_names_pictures_beside_it(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(retina(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "mine.csv").write_text("image,refer\n0.png,1\n2.png,0\n")
    frames = list(report_frames(tmp_path / "mine.csv").frames)
    assert [frame.refer for frame in frames] == [True, False]
    assert {frame.dataset for frame in frames} == {"mine"}


def test_pictures_of_one_name_in_two_folders_are_two_and_keep_their_camera(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"p{number}").mkdir()
        Image.fromarray(retina(number)).save(tmp_path / f"p{number}" / "001.png")
    (tmp_path / "mine.csv").write_text("image,refer,device\np0/001.png,1,RetCam\np1/001.png,0,\n")
    frames = list(report_frames(tmp_path / "mine.csv").frames)
    assert [(frame.refer, frame.device) for frame in frames] == [(True, "RetCam"), (False, ALL)]
    assert not np.array_equal(frames[0].image, frames[1].image)
    (tmp_path / "p1" / "001.png").unlink()
    with pytest.raises(BuildError, match=r"1 of 2 pictures are not there \(p1/001.png\)"):
        report_frames(tmp_path / "mine.csv")


@pytest.mark.parametrize("told", [False, True])
def test_frames_of_a_table_are_called_held_out_only_when_somebody_says_so(tmp_path: Path, told: bool) -> None:
    Image.fromarray(retina(0)).save(tmp_path / "0.png")
    (tmp_path / "mine.csv").write_text("image,refer\n0.png,1\n")
    source = report_frames(tmp_path / "mine.csv", held_out=told)
    (frame,) = source.frames
    assert (frame.judged, frame.held_out) == (True, told)
    assert ("not stated" in source.truth) is not told


def test_of_data_sets_and_simulations_nobody_needs_to_say_it() -> None:
    with pytest.raises(BuildError, match="--held-out"):
        report_frames(None, held_out=True)


@pytest.mark.parametrize("make", ["absent", "folder", "empty"])
def test_what_is_neither_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path / make
    if make == "folder":
        path.mkdir()
    elif make == "empty":
        path.write_text("")
    with pytest.raises(BuildError, match="--data"):
        list(report_frames(path).frames)


@pytest.mark.data
def test_held_out_frames_of_the_data_sets_have_the_truth_and_no_picture_comes_twice(data_root: Path) -> None:
    frames = list(report_frames(data_root).frames)
    held = [frame for frame in frames if frame.held_out]
    assert len(frames) > 330
    assert sum(frame.vessels is not None for frame in held) == len(split_frames(vessel_frames(data_root)).held_out)
    ridges = split_frames(ridge_frames(data_root)).held_out
    assert sum(frame.refer is True for frame in held) == sum(frame.ridge_in_view for frame in ridges)
    assert all(frame.vessels is None and frame.refer is None for frame in frames if not frame.held_out)
    assert all(frame.image.dtype == np.uint8 for frame in frames)

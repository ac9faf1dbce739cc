from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.measure.accuracy import Judged, judged_frames, measure_accuracy
from runtime.bench.measure.labels import by_name, read_labels, read_mask
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.screener import Screener
from tests.pictures import retina

REFER = ("ridge",)


def test_agreement_is_with_the_reference_and_truth_with_the_frame(bundle: Bundle) -> None:
    frames = [Judged(Frame(retina(i), i, f"{i}"), np.zeros((256, 256), np.uint8), bool(i % 2)) for i in range(4)]
    with (
        Screener(bundle, engine=FakeEngine((0.2, 0.8)), reject_repeats=False) as ours,
        Screener(bundle, engine=FakeEngine((0.6, 0.4)), reject_repeats=False) as reference,
    ):
        found = measure_accuracy(frames, ours, reference, REFER, truth="labels")
    assert (found.frames, found.graded, found.dice_frames, found.auc_frames) == (4, 4, 4, 4)
    assert found.same_outcome == 0
    assert found.largest_probability_difference == pytest.approx(0.4)
    assert found.vessel_agreement == 1
    assert found.auc == found.reference_auc == 0.5
    assert found.dice is not None
    assert found.dice < 0.5


def test_refused_frames_are_counted_and_not_scored(bundle: Bundle) -> None:
    black = Judged(Frame(np.zeros((200, 200, 3), np.uint8), 0, "black"), None, True)
    with Screener(bundle, engine=FakeEngine()) as ours:
        found = measure_accuracy([black], ours, None, REFER, truth="labels")
    assert (found.frames, found.graded, found.auc_frames, found.auc, found.dice) == (1, 0, 0, None, None)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    mask = np.zeros((240, 320), np.uint8)
    mask[:, 160:] = 255
    for i in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), retina(i)[..., ::-1])
        cv2.imwrite(str(tmp_path / "masks" / f"{i}.png"), mask)
    rows = "".join(f"images/{i}.png,masks/{i}.png,{('yes', 'no', '')[i]},x\n" for i in range(3))
    (tmp_path / "labels.csv").write_text("image,mask,refer,other\n" + rows)
    return tmp_path


def test_labels_are_found_by_file_name(labelled: Path) -> None:
    labels = by_name(read_labels(labelled / "labels.csv"))
    assert [label.refer for label in labels.values()] == [True, False, None]
    frames = list(judged_frames(str(labelled / "images"), labels))
    assert [judged.refer for judged in frames] == [True, False, None]
    vessels = frames[0].vessels
    assert vessels is not None
    assert vessels.shape == (256, 256)
    assert (vessels[:, 128:] == 255).all()
    assert (vessels[:, :128] == 0).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("image,mask\n", "no rows"),
        ("picture,mask\n0.png,x\n", "expected columns image"),
        ("image,size\n0.png,4\n", "expected columns image"),
        ("image,mask\n0.png,masks/9.png\n", "line 2: mask masks/9.png is not there"),
        ("image,refer\n0.png,maybe\n", "line 2: refer is 'maybe'"),
        ("image,refer\na/0.png,1\na\\0.png,0\n", "line 3: a/0.png is named twice"),
        ("image,refer\n,1\n", "no image is named"),
        ("\xff\xfe\x00", "not a CSV file"),
    ],
)
def test_a_labels_file_that_does_not_fit_says_where(labelled: Path, text: str, said: str) -> None:
    path = labelled / "bad.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BenchError, match=said):
        read_labels(path)


def test_two_pictures_of_one_name_cannot_be_told_apart_by_it(labelled: Path) -> None:
    (labelled / "two.csv").write_text("image,refer,device\na/0.png,1,Neo\nb/0.png,0,\n")
    labels = read_labels(labelled / "two.csv")
    assert {path: label.device for path, label in labels.items()} == {"a/0.png": "Neo", "b/0.png": None}
    with pytest.raises(BenchError, match="have one file name"):
        by_name(labels)


def test_a_long_header_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x" * 5000 + ",y\n1,2\n")
    with pytest.raises(BenchError) as raised:
        read_labels(tmp_path / "data.csv")
    assert len(str(raised.value)) < 400 + len(str(tmp_path))


def test_labels_of_other_pictures_are_refused(labelled: Path) -> None:
    (labelled / "other.csv").write_text("image,refer\nz.png,1\n")
    with pytest.raises(BenchError, match="none of 1 pictures is among the 3"):
        list(judged_frames(str(labelled / "images"), read_labels(labelled / "other.csv")))


def test_a_mask_that_is_no_picture_is_refused(labelled: Path) -> None:
    (labelled / "masks" / "0.png").write_text("words")
    with pytest.raises(BenchError, match="not a picture"):
        read_mask(labelled / "masks" / "0.png", 256)

"""Pictures of one place do not count as two views: from the measure to the exam's outcome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.exam.describe import exam_dict, exam_lines
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.images import ImageStore
from runtime.exam.journal.verify import verify
from runtime.exam.likeness import LIMIT, likeness, sight, small
from runtime.views import Eye, View
from tests.runtime.exam.making import NRF, REFER, RETAKE, RULES, infant, reading

VIEWS, A_VIEW = 5, 24
WHY = {"reason": "looked at again", "operator": "anna"}


@pytest.fixture(scope="module")
def views() -> list[UInt8Array]:
    """One picture of each view of a simulated eye."""
    return drawn(seed=3)


def drawn(seed: int) -> list[UInt8Array]:
    camera = SimulatedCamera(SimulatedConfig(seed=seed, frames_per_eye=VIEWS * A_VIEW, size=(320, 240)))
    return [np.asarray(camera.render(view * A_VIEW + 8)[0]) for view in range(VIEWS)]


def again(picture: UInt8Array, shift: float = 0.04, turn_deg: float = 4, light: float = 0.85) -> UInt8Array:
    """Nearly the same place, under other light."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 1.02)
    matrix[:, 2] += shift * height
    moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT) * light
    noise = np.random.default_rng(1).normal(0, 3, moved.shape)
    made = np.clip(moved + noise, 0, 255).astype(np.uint8)
    made[picture.max(axis=2) <= 20] = 0
    return made


@pytest.mark.parametrize(
    ("shift", "turn_deg", "light"),
    [(0, 0, 1.2), (0.04, 4, 0.85), (-0.06, -6, 1.0), (0.02, 7, 0.7), (0, -8, 1.0)],
)
def test_nearly_the_same_place_is_found(views: list[UInt8Array], shift: float, turn_deg: float, light: float) -> None:
    for picture in views:
        assert likeness(sight(picture), sight(again(picture, shift, turn_deg, light))) >= LIMIT


def test_views_of_one_eye_are_told_apart(views: list[UInt8Array]) -> None:
    seen = [sight(picture) for picture in views]
    assert all(likeness(one, other) < LIMIT for n, one in enumerate(seen) for other in seen[n + 1 :])


def test_what_is_below_the_limit_is_told_without_its_vessels_and_the_rest_is_the_same(views: list[UInt8Array]) -> None:
    seen = [sight(one, one[..., 1]) for view in views for one in (view, again(view, 0.03, 5), again(view, 0.1, 9))]
    compared = 0
    for one in seen:
        for other in seen:
            whole, quick = likeness(one, other), likeness(one, other, LIMIT)
            assert (quick >= LIMIT) == (whole >= LIMIT)
            assert quick == whole or max(quick, whole) < LIMIT
            compared += quick != whole
    assert compared > len(seen)  # it was worth it


@pytest.mark.parametrize("value", [0, 7, 128, 255])
def test_pictures_and_maps_without_structure_are_like_nothing(views: list[UInt8Array], value: int) -> None:
    flat = np.full((240, 320, 3), value, np.uint8)
    vessels = np.full((256, 256), value, np.uint8)
    assert likeness(sight(flat, vessels), sight(flat, vessels)) < LIMIT
    assert likeness(sight(flat, vessels), sight(views[0], vessels)) < LIMIT


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 3), (2000, 30, 3)])
def test_any_shape_of_picture_is_measured(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert -1 <= likeness(sight(picture), sight(picture)) <= 1.001


def take(journal: Journal, exam_id: str, eye: Eye, view: View, pixels: UInt8Array) -> int:
    shot = Frame(pixels, sequence=0, source="test")
    number = journal.add_capture(exam_id, eye, view, shot, operator="anna")
    journal.add_reading(exam_id, number, reading(shot))
    return number


def outcome(journal: Journal, exam_id: str, eye: Eye, view: View) -> object:
    return journal.exam(exam_id).result.views[eye, view].outcome


@pytest.fixture
def key() -> JournalKey:
    return JournalKey(bytes(32))


@pytest.fixture
def journal(tmp_path: Path, key: JournalKey) -> Iterator[Journal]:
    with Journal.open(tmp_path / "j", key, create=True, floor_bytes=0) as opened:
        yield opened


@pytest.fixture
def exam_id(journal: Journal) -> str:
    return journal.begin_exam(infant(), RULES, operator="anna")


def test_five_pictures_of_one_place_are_no_five_views(journal: Journal, exam_id: str, views: list[UInt8Array]) -> None:
    for eye in Eye:
        for n, view in enumerate(View):
            take(journal, exam_id, eye, view, again(views[0], 0.01 * n, n, 0.8 + 0.05 * n + (eye is Eye.OS) * 0.02))
    record = journal.close_exam(exam_id, operator="anna")
    assert record.result.infant.outcome is RETAKE
    assert [v.outcome for v in record.result.views.values()] == [NRF, *[RETAKE] * 9]
    assert record.result.infant.reason.startswith("shows nearly the same place as OD disc-centred (frame 1)")
    like = record.captures[1].reading
    assert like is not None
    assert like["view_like"]["capture"] == 1
    assert like["view_like"]["likeness"] >= LIMIT
    assert any("nearly the same place" in line for line in exam_lines(record))
    assert exam_dict(record)["captures"][1]["outcome"] == "RETAKE"
    assert verify(journal).findings == ()


def test_different_views_count(journal: Journal, exam_id: str, views: list[UInt8Array]) -> None:
    other_eye = dict(zip(View, drawn(seed=4), strict=True))
    for eye in Eye:
        for view, picture in zip(View, views, strict=True):
            take(journal, exam_id, eye, view, picture if eye is Eye.OD else other_eye[view])
    assert journal.exam(exam_id).result.infant.outcome is NRF


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("relabelled", [True, False])
def test_one_retina_is_not_both_eyes(
    journal: Journal, exam_id: str, views: list[UInt8Array], mirrored: bool, relabelled: bool
) -> None:
    """Whatever the eye was called when it was read: who mends the label later gets the same."""
    for view, picture in zip(View, views, strict=True):
        take(journal, exam_id, Eye.OD, view, picture)
    for n, (view, picture) in enumerate(zip(View, views, strict=True)):
        flipped = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
        number = take(journal, exam_id, Eye.OD if relabelled else Eye.OS, view, again(flipped, 0.005 * n, n / 2))
        if relabelled:
            journal.relabel(exam_id, number, Eye.OS, view, **WHY)
    result = journal.exam(exam_id).result
    assert result.eyes[Eye.OD].outcome is NRF
    assert {result.views[Eye.OS, view].outcome for view in View} == {RETAKE}


def test_what_was_just_taken_is_compared_as_it_was(
    journal: Journal, key: JournalKey, exam_id: str, views: list[UInt8Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    shots = [Frame(pixels, n, "test") for n, pixels in enumerate((views[0], again(views[0])))]
    for shot, view in zip(shots, (View.DISC, View.NASAL), strict=True):
        journal.add_capture(exam_id, Eye.OD, view, shot, operator="anna")
    with monkeypatch.context() as patched:
        patched.setattr(ImageStore, "read", lambda *_: pytest.fail("the picture was read back"))
        journal.add_reading(exam_id, 1, reading(shots[0]))
        told = journal.add_reading(exam_id, 2, reading(shots[1])).view_like
    seen = [sight(journal.image(capture.image_sha256 or "")) for capture in journal.exam(exam_id).captures]
    assert told is not None
    assert told.likeness == round(likeness(seen[1], seen[0]), 3)
    assert all((sight(small(one)).texture == sight(one).texture).all() for one in views)


def test_a_view_like_another_counts_once_it_is_taken_anew(
    journal: Journal, exam_id: str, views: list[UInt8Array]
) -> None:
    take(journal, exam_id, Eye.OD, View.DISC, views[0])
    take(journal, exam_id, Eye.OD, View.NASAL, again(views[0]))
    assert outcome(journal, exam_id, Eye.OD, View.NASAL) is RETAKE
    take(journal, exam_id, Eye.OD, View.NASAL, views[4])
    assert outcome(journal, exam_id, Eye.OD, View.NASAL) is NRF
    assert outcome(journal, exam_id, Eye.OD, View.DISC) is NRF


def test_a_person_may_confirm_it_with_a_reason(journal: Journal, exam_id: str, views: list[UInt8Array]) -> None:
    take(journal, exam_id, Eye.OD, View.DISC, views[0])
    number = take(journal, exam_id, Eye.OD, View.NASAL, again(views[0]))
    with pytest.raises(ExamRefused, match="needs a reason"):
        journal.confirm_view(exam_id, number, reason=" ", operator="anna")
    with pytest.raises(ExamRefused, match="nothing to confirm"):
        journal.confirm_view(exam_id, 1, **WHY)
    journal.confirm_view(exam_id, number, **WHY)
    assert outcome(journal, exam_id, Eye.OD, View.NASAL) is NRF
    assert journal.exam(exam_id).captures[1].confirmed == "looked at again"
    journal.relabel(exam_id, number, Eye.OD, View.TEMPORAL, **WHY)
    assert outcome(journal, exam_id, Eye.OD, View.TEMPORAL) is RETAKE, "it was confirmed as another view"


@pytest.mark.parametrize("change", ["exclude", "relabel"])
def test_what_the_other_frame_is_decides_anew(
    journal: Journal, exam_id: str, views: list[UInt8Array], change: str
) -> None:
    take(journal, exam_id, Eye.OD, View.TEMPORAL, views[0])  # the wrong view was set
    take(journal, exam_id, Eye.OD, View.DISC, again(views[0]))
    assert outcome(journal, exam_id, Eye.OD, View.DISC) is RETAKE
    if change == "exclude":
        journal.exclude(exam_id, 1, **WHY)
    else:
        journal.relabel(exam_id, 1, Eye.OD, View.DISC, **WHY)
    assert outcome(journal, exam_id, Eye.OD, View.DISC) is NRF


def test_taken_again_under_one_view_is_no_other_view(journal: Journal, exam_id: str, views: list[UInt8Array]) -> None:
    for n in range(3):
        take(journal, exam_id, Eye.OD, View.DISC, again(views[0], 0.01 * n))
    assert outcome(journal, exam_id, Eye.OD, View.DISC) is NRF


def test_it_holds_over_a_restart_and_for_readings_that_come_late(
    journal: Journal, key: JournalKey, exam_id: str, views: list[UInt8Array]
) -> None:
    shots = [Frame(pixels, n, "test") for n, pixels in enumerate((views[0], again(views[0])))]
    for shot, view in zip(shots, (View.DISC, View.NASAL), strict=True):
        journal.add_capture(exam_id, Eye.OD, view, shot, operator="anna")
    journal.close()
    with Journal.open(journal.folder, key, floor_bytes=0) as again_open:
        again_open.add_reading(exam_id, 2, reading(shots[1]))  # the later frame is read first
        assert outcome(again_open, exam_id, Eye.OD, View.NASAL) is NRF
        again_open.add_reading(exam_id, 1, reading(shots[0]))
        assert outcome(again_open, exam_id, Eye.OD, View.NASAL) is RETAKE
        assert outcome(again_open, exam_id, Eye.OD, View.DISC) is NRF


def test_a_finding_stays_one_however_alike_it_is(journal: Journal, exam_id: str, views: list[UInt8Array]) -> None:
    take(journal, exam_id, Eye.OD, View.DISC, views[0])
    shot = Frame(again(views[0]), 1, "test")
    number = journal.add_capture(exam_id, Eye.OD, View.NASAL, shot, operator="anna")
    journal.add_reading(exam_id, number, reading(shot, REFER))
    assert outcome(journal, exam_id, Eye.OD, View.NASAL) is REFER


def test_an_earlier_picture_that_cannot_be_read_any_more_counts_as_like(
    journal: Journal, key: JournalKey, exam_id: str, views: list[UInt8Array]
) -> None:
    take(journal, exam_id, Eye.OD, View.DISC, views[0])
    journal.close()
    images = [path for path in (journal.folder / "images").rglob("*") if path.is_file()]
    assert len(images) == 1
    images[0].write_bytes(b"")
    with Journal.open(journal.folder, key, floor_bytes=0) as opened:
        take(opened, exam_id, Eye.OD, View.NASAL, views[4])
        assert outcome(opened, exam_id, Eye.OD, View.NASAL) is RETAKE


def test_ungradable_frames_are_not_compared(journal: Journal, exam_id: str, views: list[UInt8Array]) -> None:
    shot = Frame(views[0], 0, "test")
    journal.add_capture(exam_id, Eye.OD, View.DISC, shot, operator="anna")
    journal.add_reading(exam_id, 1, reading(shot, RETAKE))
    take(journal, exam_id, Eye.OD, View.NASAL, again(views[0]))
    assert outcome(journal, exam_id, Eye.OD, View.NASAL) is NRF

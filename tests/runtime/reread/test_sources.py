"""What is listed of journals, pictures and DICOM folders; what is wrong with one is a line, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import pytest

import runtime.reread.folders
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.outcome import Outcome
from runtime.reread.errors import RereadError
from runtime.reread.keyring import JournalKeys
from runtime.reread.reader import CHANGED, OTHER_FRAME
from runtime.reread.reader import load as load_with
from runtime.reread.sources import find_sources, stored_in
from runtime.reread.stored import Stored
from tests.pictures import retina
from tests.runtime.exam.making import NRF, REFER, journal_exam

CLASSES = ["none", "ridge"]


KEY = JournalKey.new()


def make_journal(folder: Path, *exams: list[Outcome], key: JournalKey = KEY) -> list[str]:
    with Journal.open(folder, key, create=True) as journal:
        return [journal_exam(journal, outcomes) for outcomes in exams]


def write_retina(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), retina()[..., ::-1])


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROP_JOURNAL_KEY", KEY.text)


def load(frame: Stored) -> object:
    return load_with(frame, JournalKeys([]))


def listed(*named: Path, classes: list[str] = CLASSES) -> tuple[list[Stored], list[str]]:
    told: list[str] = []
    return list(stored_in(find_sources(named), JournalKeys([]), classes, told.append)), told


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }


def test_a_journals_frames_with_what_was_said_of_them(tmp_path: Path) -> None:
    (exam,) = make_journal(tmp_path / "j", [NRF, REFER, NRF])
    frames, told = listed(tmp_path / "j")
    assert told == []
    assert [frame.old_outcome for frame in frames] == ["NO_REFERRAL_FINDINGS", "REFER", "NO_REFERRAL_FINDINGS"]
    assert frames[1].old_probability == pytest.approx(0.9)
    assert {(frame.exam, frame.site, frame.camera) for frame in frames} == {(exam, "cart 1", "pictures")}
    assert [frame.reading.rpartition("/")[2] for frame in frames] == ["1", "2", "3"]
    assert all(not isinstance(load(frame), str) for frame in frames)


def test_nothing_of_a_journal_is_touched_and_no_name_comes_out(tmp_path: Path) -> None:
    make_journal(tmp_path / "j", [NRF] * 3)
    before = state(tmp_path / "j")
    frames, _ = listed(tmp_path / "j")
    for frame in frames:
        load(frame)
    assert state(tmp_path / "j") == before
    assert "Doe" not in repr(frames)
    assert "H-1" not in repr(frames)
    assert "anna" not in repr(frames)


def test_a_folder_of_journals_a_copy_among_them(tmp_path: Path) -> None:
    first = make_journal(tmp_path / "all" / "site-a", [NRF] * 2, [REFER] * 2)
    make_journal(tmp_path / "all" / "site-b", [NRF])
    shutil.copytree(tmp_path / "all" / "site-a", tmp_path / "all" / "site-c")
    frames, told = listed(tmp_path / "all", tmp_path / "all" / "site-a")
    assert len(frames) == 5
    assert len({frame.reading for frame in frames}) == 5
    assert len(told) == 2
    assert all("came with source 0 already" in line and exam in line for line, exam in zip(told, first, strict=True))


def test_a_newer_journal_is_one_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    make_journal(tmp_path / "a", [NRF])
    make_journal(tmp_path / "b", [NRF] * 2)
    with closing(sqlite3.connect(tmp_path / "a" / "journal.sqlite3")) as connection, connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    frames, told = listed(tmp_path)
    assert len(frames) == 2
    assert len(told) == 1
    assert told[0].startswith("source 0 left out: ")
    assert "999" in told[0]


def test_a_journal_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "journal.sqlite3").write_bytes(b"no database at all" * 100)
    make_journal(tmp_path / "b", [NRF])
    frames, told = listed(tmp_path)
    assert (len(frames), len(told)) == (1, 1)


def test_exams_read_for_other_classes_are_left_out(tmp_path: Path) -> None:
    make_journal(tmp_path / "j", [NRF])
    frames, told = listed(tmp_path / "j", classes=["normal", "glaucoma"])
    assert frames == []
    assert len(told) == 1
    assert "read for none, ridge, this bundle tells normal, glaucoma" in told[0]


def test_a_journal_that_a_cart_has_open_is_read_with_what_stands_in_its_log(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j", KEY, create=True) as journal:
        journal_exam(journal, [NRF] * 2)
        assert (tmp_path / "j" / "journal.sqlite3-wal").stat().st_size
        frames, told = listed(tmp_path / "j")
    assert (len(frames), told) == (2, [])


def test_a_journal_that_grows_while_it_is_read(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j", KEY, create=True) as journal:
        journal_exam(journal, [NRF] * 2)
        told: list[str] = []
        frames = stored_in(find_sources([tmp_path / "j"]), JournalKeys([]), CLASSES, told.append)
        got = [next(frames)]
        journal_exam(journal, [REFER] * 3)
        got += frames
    assert len(got) == len({frame.reading for frame in got}) == 5
    assert [frame.order for frame in got] == [(0, n) for n in range(5)]
    assert told == []


def test_an_altered_or_missing_image_is_its_own_row(tmp_path: Path) -> None:
    make_journal(tmp_path / "j", [NRF] * 2)
    frames, _ = listed(tmp_path / "j")
    images = sorted((tmp_path / "j" / "images").rglob("*.sealed"))
    images[0].write_bytes(b"altered")
    images[1].unlink()
    said = [load(frame) for frame in frames]
    assert sorted(str(one).partition(": ")[2].partition(";")[0] for one in said) == [
        "cannot be read (No such file or directory)",
        "it was altered",
    ]


def test_another_frame_in_its_place_is_refused(tmp_path: Path) -> None:
    make_journal(tmp_path / "j", [NRF] * 2)
    frames, _ = listed(tmp_path / "j")
    swapped = Stored(**{**vars(frames[0]), "image_sha256": frames[1].image_sha256})
    assert load(swapped) == OTHER_FRAME


def test_pictures_below_a_folder_without_their_names(tmp_path: Path) -> None:
    for name in ("Doe Anna.jpg", "b/2.png", "b/c/3.jpg", ".hidden.jpg"):
        write_retina(tmp_path / name)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "b" / "x.tmp").touch()
    frames, told = listed(tmp_path)
    assert told == ["source 0: passed over: 4 entries: 1 hidden picture, 1 .mp4, 1 .tmp, 1 .txt"]
    assert len(frames) == 3
    assert [frame.reading for frame in frames] == [frame.reading for frame in listed(tmp_path)[0]]
    assert "Doe" not in "".join(frame.reading for frame in frames)
    assert not any(frame.show_file for frame in frames)


def test_a_damaged_picture_says_so_and_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "Doe Anna.jpg").write_bytes(b"\xff\xd8 no picture")
    (frame,) = listed(tmp_path)[0]
    said = load(frame)
    assert isinstance(said, str)
    assert "Doe" not in said
    assert "not an image" in said


def test_a_picture_that_changed_since_is_refused(tmp_path: Path) -> None:
    write_retina(tmp_path / "a.jpg")
    (frame,) = listed(tmp_path)[0]
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    assert load(frame) == CHANGED


def test_labels(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        write_retina(tmp_path / name)
    (tmp_path / "labels.csv").write_text(
        "image,refer,eye,view,device,site,patient,outcome,probability\n"
        "b.jpg,1,L,nasal,Neo,north,Doe Anna,REFER,0.75\n"
        "a.jpg,,right,,RetCam,,Roe,,\n"
        "gone.jpg,0,,,,,Doe Anna,NO_RESULT,\n"
    )
    frames, told = listed(tmp_path)
    assert told == []
    assert [(f.file, f.label, f.eye, f.camera, f.exam) for f in frames] == [
        ("a.jpg", None, "OD", "RetCam", "s0-1"),
        ("b.jpg", True, "OS", "Neo", "s0-2"),
        ("gone.jpg", False, "", "", "s0-2"),
    ]
    assert (frames[1].old_outcome, frames[1].old_probability) == ("REFER", 0.75)
    assert load(frames[2]) == "cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,refer\n../a.jpg,1\n", "line 2: image names no file below"),
        ("image,refer\na.jpg,maybe\n", "refer is 'maybe'; expected 1 or 0"),
        ("image,outcome\na.jpg,FINE\n", "outcome is 'FINE'; expected one of REFER"),
        ("image,probability\na.jpg,nan\n", "probability is 'nan'; expected a number"),
        ("image\na.jpg\na.jpg\n", "line 3: this picture stands in an earlier line"),
        ("refer\n1\n", "image names no file"),
    ],
)
def test_labels_that_cannot_be_used_leave_the_source_out(tmp_path: Path, text: str, words: str) -> None:
    write_retina(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text(text)
    frames, told = listed(tmp_path)
    assert frames == []
    assert len(told) == 1
    assert words in told[0]


def test_labels_beyond_their_size_are_not_cut_but_leave_the_source_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_retina(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("image,refer\na.jpg,1\n")
    monkeypatch.setattr(runtime.reread.folders, "LABELS_LIMIT_BYTES", 18)
    frames, told = listed(tmp_path)
    assert frames == []
    assert "larger than 18 bytes" in told[0]


def test_a_dicom_folder(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    stated = [
        ("R", "", "P1"),
        ("L", "B", "P1"),
        ("", "L", "P2"),
        ("R", "L", "P2"),
        ("B", "", "P2"),
        (["R", "L"], "", "P2"),
    ]
    for number, (eye, of_series, patient) in enumerate(stated):
        dataset = pydicom.Dataset()
        dataset.PatientName, dataset.PatientID = "Doe^Anna", patient
        dataset.ImageLaterality, dataset.Laterality = eye, of_series
        dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Cam 3"
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", f"1.2.{number}"
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.save_as(tmp_path / f"{number}", enforce_file_format=True)
    frames, _ = listed(tmp_path)
    assert [(f.eye, f.camera, f.exam) for f in frames] == [
        ("OD", "Maker Cam 3", "s0-1"),
        ("OS", "Maker Cam 3", "s0-1"),
        ("OS", "Maker Cam 3", "s0-2"),
        *[("", "Maker Cam 3", "s0-2")] * 3,  # of which eye is not known
    ]
    assert "Doe" not in repr(frames)


def test_a_name_that_is_no_folder_and_a_folder_without_a_picture(tmp_path: Path) -> None:
    with pytest.raises(RereadError, match="no such folder"):
        find_sources([tmp_path / "gone"])
    frames, told = listed(tmp_path)
    assert frames == []
    assert len(told) == 1
    assert "holds no picture" in told[0]


def test_each_journal_has_its_own_key_and_one_without_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROP_JOURNAL_KEY")
    keys = [JournalKey.new() for _ in range(3)]
    files = [tmp_path / f"key{number}" for number in range(2)]
    for number, key in enumerate(keys):
        make_journal(tmp_path / "all" / str(number), [NRF], key=key)
    for file, key in zip(files, keys, strict=False):
        file.touch(0o600)
        file.write_text(key.text)
    told: list[str] = []
    ring = JournalKeys([str(file) for file in files])
    frames = list(stored_in(find_sources([tmp_path / "all"]), ring, CLASSES, told.append))
    assert len(frames) == 2
    assert not any(isinstance(load_with(frame, ring), str) for frame in frames)
    assert len(told) == 1
    assert "source 2 left out" in told[0]


def test_what_a_run_wrote_beside_its_readings_is_no_source(tmp_path: Path) -> None:
    for name in ("a.png", "overlays/a.png", "gates/a.png", "other/overlays/b.png"):
        write_retina(tmp_path / name)
    (tmp_path / "readings.jsonl").write_text("{}\n")
    assert [frame.file for frame in listed(tmp_path)[0]] == ["a.png", "other/overlays/b.png"]


def test_pictures_beside_journals_are_told_unless_their_folder_is_named_too(tmp_path: Path) -> None:
    make_journal(tmp_path / "site" / "exams", [REFER])
    write_retina(tmp_path / "site" / "pictures" / "a.png")
    write_retina(tmp_path / "site" / "pictures" / "b.png")
    frames, told = listed(tmp_path / "site")
    assert len(frames) == 1
    assert told == ["source 0: 2 pictures lie beside journals, not read; name the pictures' folder, too"]
    frames, told = listed(tmp_path / "site", tmp_path / "site" / "pictures")
    assert (len(frames), told) == (3, [])


@pytest.mark.parametrize("order", [1, -1], ids=["outer first", "inner first"])
@pytest.mark.parametrize("linked", [False, True], ids=["as it is", "by a link"])
def test_a_folder_of_pictures_in_another_one_would_count_twice(tmp_path: Path, order: int, linked: bool) -> None:
    write_retina(tmp_path / "site" / "eyes" / "a.png")
    inner = tmp_path / "site" / "eyes"
    if linked:
        inner = tmp_path / "link"
        inner.symlink_to(tmp_path / "site" / "eyes")
    with pytest.raises(RereadError, match=r"site/eyes lies in \S+/site, so that its frames would count twice"):
        find_sources([tmp_path / "site", inner][::order])


def test_neighbours_with_one_beginning_are_no_folders_of_each_other(tmp_path: Path) -> None:
    write_retina(tmp_path / "site" / "a.png")
    write_retina(tmp_path / "site-2" / "a.png")
    assert len(listed(tmp_path / "site", tmp_path / "site-2")[0]) == 2


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_the_folder_one_stands_in(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_retina(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RereadError, match=r"'\s?': no such folder"):
        find_sources([name])

"""The newest event told outside of the folder: a cut end and an older copy are found at opening and by `verify`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.exam.__main__ import main
from runtime.exam.errors import JournalDamaged
from runtime.exam.journal import Journal
from runtime.exam.journal.anchors import FileAnchor
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.verify import verify
from tests.runtime.exam.journal.test_attacks import key_file
from tests.runtime.exam.making import NRF, REFER, journal_exam


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere"


@pytest.fixture
def anchored(tmp_path: Path, key: JournalKey, anchor: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal", key, create=True, anchors=[str(anchor)]) as opened:
        yield opened


def findings(folder: Path, key: JournalKey, anchor: Path) -> str:
    with Journal.open(folder, key, read_only=True, check=False, anchors=[anchor]) as journal:
        return "; ".join(map(str, verify(journal).findings))


def test_an_older_copy_of_the_whole_folder_is_found(
    anchored: Journal, key: JournalKey, anchor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With journal.head and all: whole in itself, its exam with the finding gone."""
    journal_exam(anchored, [NRF])
    copy = tmp_path / "copy"
    shutil.copytree(anchored.folder, copy)
    found = journal_exam(anchored, [REFER])
    assert findings(anchored.folder, key, anchor) == ""
    with Journal.open(copy, key, read_only=True, check=False) as journal:
        assert verify(journal).findings == ()  # nothing in the folder can tell
    assert "an older copy was brought back" in findings(copy, key, anchor)
    with pytest.raises(JournalDamaged, match="an older copy was brought back"):
        Journal.open(copy, key, anchors=[anchor])
    common = ["--journal", str(copy), "--key-file", str(key_file(tmp_path, key))]
    assert main(["list", *common]) == 0
    assert main(["list", *common, "--anchor", str(anchor)]) == 1
    assert main(["verify", *common, "--anchor", str(anchor)]) == 1
    last = anchored.events(found)[-1]
    assert main(["verify", *common]) == 0
    assert main(["verify", *common, "--told", f"{last.seq}:{last.hash}"]) == 1
    assert "tells of event" in capsys.readouterr().out


def test_a_copy_that_went_its_own_way_is_found(
    anchored: Journal, key: JournalKey, anchor: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(anchored.folder, copy)
    journal_exam(anchored, [REFER])
    with Journal.open(copy, key) as journal:
        journal_exam(journal, [NRF])
        journal_exam(journal, [NRF])
    with pytest.raises(JournalDamaged, match="is another than anchor"):
        Journal.open(copy, key, anchors=[anchor])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-2] + b"x\n"), "its last line was altered"),
        (lambda path: path.write_bytes(path.read_bytes() + b"rop-journal nonsense\n"), "its last line was altered"),
        (lambda path: path.touch(), None),
    ],
)
def test_an_anchor_that_was_written_to_is_named(
    anchored: Journal, key: JournalKey, anchor: Path, spoil: object, said: str | None
) -> None:
    spoil(anchor)  # type: ignore[operator]
    if said is None:
        Journal.open(anchored.folder, key, anchors=[anchor]).close()
        return
    with pytest.raises(JournalDamaged, match=said):
        Journal.open(anchored.folder, key, anchors=[anchor])
    assert said in findings(anchored.folder, key, anchor)


def test_an_anchor_that_a_disk_gave_back_as_zeros_is_no_new_one(tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.write_bytes(b"rop-journal 12")
    assert FileAnchor(anchor).read() is None  # the first line of all was not whole yet
    anchor.write_bytes(bytes(100_000))
    with pytest.raises(JournalDamaged, match="it holds no line"):
        FileAnchor(anchor).read()


def test_another_journals_anchor_and_a_torn_line(
    anchored: Journal, key: JournalKey, anchor: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    with (
        Journal.open(other, key, create=True),
        pytest.raises(JournalDamaged, match="of another journal"),
    ):
        Journal.open(other, key, anchors=[anchor])
    anchor.write_bytes(anchor.read_bytes() + b"rop-journal 12")  # power was lost while it was written
    journal_exam(anchored, [NRF])
    assert findings(anchored.folder, key, anchor) == ""


def test_an_anchor_that_was_removed_is_said_in_the_trail_and_begun_anew(
    anchored: Journal, key: JournalKey, anchor: Path
) -> None:
    anchor.unlink()
    assert "it tells nothing" in findings(anchored.folder, key, anchor)
    with Journal.open(anchored.folder, key, anchors=[anchor]) as journal:
        assert journal.database.rows("SELECT kind FROM events ORDER BY seq DESC LIMIT 1") == [("witness missing",)]
        assert verify(journal).findings == ()


def test_the_systems_log_is_told(key: JournalKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("syslog.syslog", lambda _, text: said.append(text))
    with Journal.open(tmp_path / "j", key, create=True, anchors=["syslog"]) as journal:
        last = journal.events(journal_exam(journal, [REFER]))[-1]
        assert said[-1] == f"rop-journal {journal.journal_id} {last.seq} {last.hash}"

"""What was read stays: after a cut at any byte, twice given, beside another run."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from device.outputs import OutputFolder
from runtime.errors import OutputError
from runtime.reread.errors import RereadError
from runtime.reread.kept import PART, WorkFolder
from runtime.reread.row import RereadResult
from tests.runtime.reread.making import NONE, REFER, result, stored

RUN = {"bundle": "b" * 64, "sources": ["/a"]}


def readings(kept: WorkFolder) -> list[str]:
    return sorted(one.row.reading for one in kept.results())


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    one = result(stored(3, label=True), REFER, probability=0.1 + 0.2, sha256="ä" * 3, thumbnail=b"jpeg")
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([one])
    with WorkFolder(tmp_path / "w", RUN) as kept:
        assert kept.has(stored(3, label=True))
        assert list(kept.results()) == [RereadResult(one.order, one.row, state=one.state)]
        assert kept.picture(one) == b"jpeg"


def test_a_frame_that_comes_twice_is_kept_once(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([result(stored(1)), result(stored(2))])
        kept.add([result(stored(2)), result(stored(3))])
        assert kept.count == 3
        assert readings(kept) == [stored(n).reading for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "change", [{"mtime_ns": 5}, {"label": True}, {"excluded": True}, {"old_outcome": REFER}, {"image_sha256": "a" * 64}]
)
def test_what_changed_since_it_was_read_is_read_again(tmp_path: Path, change: dict[str, object]) -> None:
    """A run that went on gave the old label, or what another picture of the same size had shown."""
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([result(stored(1)), result(stored(2))])
    with WorkFolder(tmp_path / "w", RUN) as kept:
        changed = stored(1, **change)
        assert kept.has(stored(2))
        assert kept.has(stored(2, order=(0, 7)))  # files before it in the list are no change of it
        assert not kept.has(changed)
        kept.add([result(changed, REFER)])
        kept.add([result(changed, REFER)])
        assert (kept.count, kept.added) == (2, 1)
    for first_read in (changed, stored(1)):  # whichever part is read first, and whichever is asked for
        with WorkFolder(tmp_path / "w", RUN) as kept:
            if not kept.has(first_read):
                kept.add([result(first_read, REFER if first_read is changed else NONE)])
            found = {one.row.reading: one for one in kept.results()}
            assert len(list(kept.results())) == 2
            assert found[changed.reading].row.label == first_read.label
            assert found[changed.reading].row.excluded == first_read.excluded


def test_what_is_gone_is_no_row(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([result(stored(1)), result(stored(2))])
        assert kept.forget_others({stored(2).reading, stored(3).reading}) == 1
        assert readings(kept) == [stored(2).reading]


def test_two_frames_of_one_place_have_a_picture_each(tmp_path: Path) -> None:
    """Of a list that grew between two runs; the page showed another infant's picture beside the outcome."""
    first, second = (stored(number, order=(0, 0)) for number in (1, 2))
    with WorkFolder(tmp_path / "w", RUN) as kept:
        for frame, jpeg in ((first, b"first"), (second, b"second")):
            kept.add([result(frame, REFER, thumbnail=jpeg)])
        assert [kept.picture(result(frame)) for frame in (first, second)] == [b"first", b"second"]


def test_a_part_that_was_cut_anywhere_counts_as_not_there(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([result(stored(1)), result(stored(2))])
        kept.add([result(stored(3))])
    part = max((tmp_path / "w").glob(f"{PART}*"), key=lambda path: path.stat().st_size)
    whole = part.read_bytes()
    for length in {*range(0, len(whole), 97), len(whole) - 1}:
        part.write_bytes(whole[:length])
        with WorkFolder(tmp_path / "w", RUN) as kept:
            assert readings(kept) == [stored(3).reading]


def test_work_that_others_began_is_refused(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.read_by({"threshold": 0.5, "site_profile_sha256": ""})
        kept.read_by({"threshold": 0.5, "site_profile_sha256": ""})
    words = "a run that was cut off, with other threshold, site_profile_sha256;"
    with WorkFolder(tmp_path / "w", RUN) as kept, pytest.raises(RereadError, match=words):
        kept.read_by({"threshold": 0.4, "site_profile_sha256": "a" * 64})


@pytest.mark.parametrize("other", [{**RUN, "bundle": "c" * 64}, {**RUN, "sources": ["/a", "/b"]}])
def test_another_runs_work_is_refused(tmp_path: Path, other: dict[str, object]) -> None:
    WorkFolder(tmp_path / "w", RUN).close()
    with pytest.raises(RereadError, match=r"holds a run that was cut off, with other (bundle|sources)"):
        WorkFolder(tmp_path / "w", other)


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "w", RUN), pytest.raises(RereadError, match="another run is at work there"):
        WorkFolder(tmp_path / "w", RUN)


def test_no_space_is_one_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([result(stored(1))])

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(OutputFolder, "write", full)
            with pytest.raises(OutputError, match="no space left; free some and run again"):
                kept.add([result(stored(2))])
        assert not kept.has(stored(2))
        assert readings(kept) == [stored(1).reading]


def test_it_goes_when_all_is_done(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "w", RUN) as kept:
        kept.add([result(stored(1), REFER, thumbnail=b"x")])
        kept.remove()
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("earlier", ["rop.reread-run/2", None])
def test_work_of_another_version_of_this_software_says_so_and_what_to_do(tmp_path: Path, earlier: str | None) -> None:
    WorkFolder(tmp_path / "w", RUN).close()
    file = tmp_path / "w" / "run.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in (written | {"schema": earlier}).items() if value}))
    with pytest.raises(
        RereadError, match=r"another version of this software \((rop.reread-run/2|unknown), .*remove the"
    ):
        WorkFolder(tmp_path / "w", RUN)

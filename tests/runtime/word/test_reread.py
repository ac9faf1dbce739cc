"""Whatever a site's signed profile says is obeyed when frames are read again, and one run is read by one profile."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import runtime.reread.run
from runtime.errors import OutputError
from runtime.reread.__main__ import main
from tests.runtime.word.conftest import AtSite
from tests.runtime.word.drivers import Said, Ways
from tests.runtime.word.test_sites_word import PROFILES, REFUSALS


def again(folder: Path, options: list[str]) -> int:
    """The command on `pictures`, into `table.csv`."""
    source = folder / "pictures"
    source.mkdir(exist_ok=True)
    (source / "picture.png").write_bytes((folder / "picture.png").read_bytes())
    return main([str(source), "--out", str(folder / "table.csv"), "--workers", "1", *options])


def said(folder: Path) -> Said:
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return Said(row["new_outcome"], row["new_reason"])


@pytest.mark.parametrize("profile", ["higher threshold", "another limit", "budget in total"])
def test_a_profile_reaches_every_re_reading(at_site: AtSite, ways: Ways, profile: str) -> None:
    changes, outcome, words, _ = PROFILES[profile]
    options = [*at_site.options(stations=["cart 1"], **changes), "--station", "cart 1"]
    assert again(at_site.folder, options) == 0
    found = said(at_site.folder)
    assert found.outcome == outcome
    assert found.reason is not None
    assert words in found.reason


@pytest.mark.parametrize("refusal", ["a stranger signed", "expired"])
def test_what_the_site_does_not_vouch_for_is_not_read_by(
    at_site: AtSite, ways: Ways, refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = REFUSALS[refusal]
    assert again(at_site.folder, make(at_site)) == 2
    assert words in capsys.readouterr().err
    assert not (at_site.folder / "table.csv").exists()


def test_a_run_that_was_cut_off_does_not_go_on_by_another_profile(
    at_site: AtSite, ways: Ways, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both profiles stand under the same name, as at a site that renews its own."""
    with monkeypatch.context() as patch:
        patch.setattr(runtime.reread.run, "write_table", _no_space)
        assert again(at_site.folder, at_site.options(refer_threshold=0.85)) == 1
    capsys.readouterr()
    changed = at_site.options(refer_threshold=0.65)
    assert again(at_site.folder, changed) == 2
    assert "holds a run that was cut off, with other site_profile_sha256, threshold;" in capsys.readouterr().err
    assert again(at_site.folder, at_site.options(refer_threshold=0.85)) == 0
    assert said(at_site.folder).outcome == "NO_REFERRAL_FINDINGS"


def _no_space(*_: object) -> None:
    raise OutputError("no space left")

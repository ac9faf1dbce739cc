from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import OutputError
from runtime.outcome import Outcome, picture_banner
from runtime.screen.progress import end_lines
from runtime.sinks.contact_sheet import FEWEST_OTHERS, MOST_CARDS, Card, ContactSheet
from runtime.sinks.histogram import BINS, axis_end, histogram_svg
from runtime.sinks.page import NOT_ALL
from runtime.sinks.summary import SummarySink
from runtime.sinks.tally import MOST_REASONS, Percentiles, Tally
from tests.pictures import decoded_bgr
from tests.runtime.sinks.readings import NOTICE, make_frame, make_reading

OPEN_TAGS = {"meta", "img", "line", "rect", "!doctype"}


class Page(HTMLParser):
    """A page taken apart; fails when its tags do not match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in OPEN_TAGS:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style" and data.strip():
            self.texts.append(data.strip())


def write_page(tmp_path: Path, readings: list[tuple[Outcome, str]], total_ms: float = 20.0) -> Page:
    path = tmp_path / "summary.html"
    sink = SummarySink(path, Tally())
    for i, (outcome, reason) in enumerate(readings):
        sink.write(make_frame(f"{i}.jpg", i), make_reading(f"{i}.jpg", i, outcome, reason, total_ms, budget_ms=100.0))
    sink.close()
    return Page(path)


def test_the_page_says_what_was_read(tmp_path: Path) -> None:
    page = write_page(
        tmp_path, [(Outcome.REFER, "ridge 0.8"), (Outcome.RETAKE, "too dark"), (Outcome.RETAKE, "blurred")]
    )
    text = " ".join(page.texts)
    for expected in (
        *map(picture_banner, Outcome),
        NOTICE,
        "demo 1.0",
        "too dark",
        "blurred",
        "2.jpg",
        "p50 20.0 ms",
        "All 3 frames",
    ):
        assert expected in text
    assert "continue the scheduled examinations" not in text
    assert NOT_ALL not in text
    tiles = re.findall(r"(REFER|NO REFERRAL FINDINGS|RETAKE|NO RESULT) (\d+)", text)
    assert dict(tiles[:4]) == {"REFER": "1", "NO REFERRAL FINDINGS": "0", "RETAKE": "2", "NO RESULT": "0"}


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    page = write_page(tmp_path, [(Outcome.REFER, "")] * 5)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "a"})
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith("data:"), tag
    source = (tmp_path / "summary.html").read_text()
    assert not re.search(
        r"url\(|@import|https?:|//[a-z]", source.replace("data:image/jpeg;base64,", "").split("<body>")[0]
    )


def test_thumbnails_are_whole_pictures(tmp_path: Path) -> None:
    page = write_page(tmp_path, [(Outcome.REFER, "")] * 3)
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 3
    data = base64.b64decode(sources[0].split(",")[1])
    assert decoded_bgr(data).shape == (120, 160, 3)


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "summary.html"
    sink = SummarySink(path, Tally())
    evil = '<script>alert(1)</script>"\x1b\udcff.jpg'
    sink.write(make_frame(evil), make_reading(evil, 0, Outcome.NO_RESULT, f"{evil}: {evil}"))
    sink.close()
    page = Page(path)
    assert "script" not in {tag for tag, _ in page.tags}
    assert any("<script>alert(1)</script>" in text for text in page.texts)
    assert "\x1b" not in path.read_text()


def test_a_run_without_frames_has_a_page_too(tmp_path: Path) -> None:
    assert "No frame was read." in write_page(tmp_path, []).texts


def test_frames_without_pixels_have_a_card_and_no_latency(tmp_path: Path) -> None:
    path = tmp_path / "summary.html"
    sink = SummarySink(path, Tally())
    sink.write(None, make_reading("bad.jpg", 0, Outcome.NO_RESULT, "bad.jpg: truncated", None))
    sink.close()
    texts = Page(path).texts
    assert "no picture" in texts
    assert "truncated" in texts
    assert not any("p50" in text for text in texts)


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    sink = SummarySink(tmp_path / "gone" / "summary.html", Tally())
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputError, match=r"summary\.html: No such file"):
        sink.close()
    sink.close()
    with pytest.raises(OutputError, match=r"summary\.html: No such file"):
        SummarySink(tmp_path / "gone" / "summary.html", Tally())


def card(sequence: int, outcome: Outcome) -> Card:
    return Card(f"{sequence}.jpg", sequence, outcome, "", 1.0, b"")


def fill(outcomes: list[Outcome]) -> list[Card]:
    sheet = ContactSheet()
    for i, outcome in enumerate(outcomes):
        if sheet.wants(outcome):
            sheet.add(card(i, outcome))
        assert len(sheet.cards) <= MOST_CARDS
    return sheet.cards


def test_the_contact_sheet_holds_every_frame_of_a_short_run_in_order() -> None:
    outcomes = [list(Outcome)[i % 4] for i in range(MOST_CARDS)]
    assert [c.sequence for c in fill(outcomes)] == list(range(MOST_CARDS))


def test_the_contact_sheet_of_a_long_run_is_bounded_and_even() -> None:
    shown = [c.sequence for c in fill([Outcome.NO_REFERRAL_FINDINGS] * 5000)]
    assert MOST_CARDS // 2 <= len(shown) <= MOST_CARDS
    assert len(set(np.diff(shown))) == 1
    assert shown[-1] > 4900


def test_the_few_frames_that_matter_are_all_on_the_contact_sheet() -> None:
    outcomes = [Outcome.NO_REFERRAL_FINDINGS] * 5000
    for i in range(17, 5000, 50):
        outcomes[i] = (Outcome.REFER, Outcome.NO_RESULT)[i % 2]
    cards = fill(outcomes)
    assert sum(c.outcome in (Outcome.REFER, Outcome.NO_RESULT) for c in cards) == 100
    assert len(cards) >= 100 + FEWEST_OTHERS // 2


def test_many_frames_that_matter_leave_room_for_others() -> None:
    cards = fill([(Outcome.REFER, Outcome.RETAKE)[i % 2] for i in range(3000)])
    assert sum(c.outcome is Outcome.RETAKE for c in cards) >= FEWEST_OTHERS // 2


def test_a_tally_does_not_grow_with_the_reasons() -> None:
    tally = Tally()
    for i in range(300):
        letters = "".join(chr(97 + int(digit)) for digit in str(i))
        tally.add(make_reading(f"{i}.jpg", i, Outcome.NO_RESULT, f"{i}.jpg: fault {letters}"))
    assert len(tally.reasons) == MOST_REASONS + 1
    assert sum(seen.count for seen in tally.reasons.values()) == 300


def test_reasons_that_differ_in_their_numbers_are_counted_together() -> None:
    tally = Tally()
    for ms in (130.5, 131.0):
        tally.add(make_reading(outcome=Outcome.NO_RESULT, reason=f"late: {ms} ms, budget 100 ms"))
    (seen,) = tally.reasons.values()
    assert (seen.count, seen.first_reason) == (2, "late: 130.5 ms, budget 100 ms")


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (1, "p50 0.0 ms, p95 n too small (1 of 130), p99 n too small (1 of 662)"),
        (129, "p50 64.0 ms, p95 n too small (129 of 130), p99 n too small (129 of 662)"),
        (130, "p50 64.0 ms, p95 123.0 ms, p99 n too small (130 of 662)"),
        (661, "p50 330.0 ms, p95 627.0 ms, p99 n too small (661 of 662)"),
        (1000, "p50 499.0 ms, p95 949.0 ms, p99 989.0 ms"),
    ],
)
def test_no_percentile_of_too_few_latencies(n: int, words: str) -> None:
    """In the last line of a screening and on its page."""
    latencies = np.arange(n, dtype=np.float32)
    found = Percentiles.of(latencies)
    assert found is not None
    assert found.words == words
    tally = Tally()
    for ms in latencies:
        tally.add(make_reading(total_ms=float(ms)))
    assert f"latency {words}" in end_lines(tally, [], "")
    assert Percentiles.of(np.zeros(0, np.float32)) is None


@pytest.mark.parametrize("budget_ms", [None, 5.0, 30.0, 1000.0])
def test_the_histogram_counts_every_frame_and_shows_a_near_budget(budget_ms: float | None) -> None:
    latencies = np.concatenate([np.full(900, 20.0), np.full(90, 25.0), np.full(10, 500.0)]).astype(np.float32)
    svg = histogram_svg(latencies, budget_ms)
    assert ("budget" in svg) == (budget_ms is not None and budget_ms <= axis_end(latencies, budget_ms))
    assert "last bar: 10 frames over" in svg
    assert "p99" in svg
    heights = [float(h) for h in re.findall(r'class="bar"[^>]* height="([\d.]+)"', svg)]
    assert 3 <= len(heights) <= BINS
    assert max(heights) / sum(heights) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("value", [0.0, 0.001, 1.0, 1e6])
def test_the_axis_of_any_latency_ends_past_it(value: float) -> None:
    latencies = np.array([value], np.float32)
    assert value < axis_end(latencies, None) <= max(0.2, value * 2.2)
    assert "nan" not in histogram_svg(latencies, None)

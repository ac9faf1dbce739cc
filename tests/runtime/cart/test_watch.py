"""What is wrong beside the cables is said with what to do: disk, model, archive, clock, a desk that hangs."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.cart import watch
from runtime.cart.watch import Watch
from runtime.errors import BundleError
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.reading import DriftFacts

KEY = JournalKey(bytes(32))
NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


class World:
    """A clock on the wall, one that nobody can set, and a room whose parts can be broken."""

    def __init__(self, folder: Path) -> None:
        self.wall, self.up = NOW, 1000.0
        self.journal = Journal.open(folder / "journal", KEY, create=True, clock=lambda: self.wall)
        self.rules: Any = lambda: None
        self.screener = SimpleNamespace(problem="", trust=SimpleNamespace(drift=DriftFacts("off")))
        self.state: dict[str, Any] | None = {"waiting": 0, "held": 0, "done": 0, "error": ""}
        self.unread = 0
        self.watch = Watch(lambda: self.wall, lambda: self.up)

    def passes(self, seconds: float, *, jump_s: float = 0.0) -> None:
        self.up += seconds
        self.wall += timedelta(seconds=seconds + jump_s)

    def said(self) -> dict[str, str]:
        self.up += 10
        self.wall += timedelta(seconds=10)
        parts = SimpleNamespace(archive=self.state is not None, rules=lambda: self.rules(), bundle_problem=str)
        room: Any = SimpleNamespace(
            journal=self.journal,
            parts=parts,
            screener=self.screener,
            delivery=lambda: self.state,
            not_read=lambda: self.unread,
        )
        self.watch.look(room)
        return dict(self.watch.problems)


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path)
    yield made
    made.journal.close()


def test_nothing_is_wrong(world: World) -> None:
    assert world.said() == {"disk": "", "model": "", "clock": "", "archive": ""}
    world.state = None
    assert "archive" not in world.said()


@pytest.mark.parametrize(
    ("free_mib", "said"),
    [(600, ""), (511, "no other opened"), (97, "no other opened"), (95, "no picture"), (0, "full")],
)
def test_the_disk(world: World, free_mib: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "free_bytes", lambda self: free_mib * 2**20)
    found = world.said()["disk"]
    assert said in found
    assert bool(found) == (free_mib < 512)


@pytest.mark.parametrize(("jump_s", "word"), [(-90, "90 s back"), (600, "10 min forward"), (18000, "5.0 h forward")])
def test_a_clock_that_jumps_is_said_for_a_while(world: World, jump_s: float, word: str) -> None:
    assert world.said()["clock"] == ""
    world.passes(60, jump_s=jump_s)
    assert word in world.said()["clock"]
    world.passes(watch.TOLD_S)
    assert world.said()["clock"] == ""


def test_a_clock_behind_the_journal_is_said_until_it_is_right(world: World) -> None:
    with world.journal._writing() as (connection, trail):
        trail.append(connection, None, "note", "software", {})
    world.watch = Watch(lambda: world.wall, lambda: world.up)
    world.wall -= timedelta(hours=3)
    world.watch._ahead = world.watch._offset()  # as after a start with the wrong time: no jump is seen
    assert "3.0 h behind the newest entry" in world.said()["clock"]
    world.passes(10 * watch.TOLD_S)
    assert "behind" in world.said()["clock"]
    world.passes(0, jump_s=3 * 3600)
    world.passes(watch.TOLD_S)
    world.said()
    world.passes(watch.TOLD_S)
    assert world.said()["clock"] == ""


def test_the_model(world: World) -> None:
    world.screener.problem = f"the site's profile expired on {date(2026, 11, 1)}; have a new one signed"
    assert "expired" in world.said()["model"]
    world.screener.problem = ""
    world.screener.trust.drift = DriftFacts("alarm", reasons=("scores moved",))
    assert "drift: scores moved" in world.said()["model"]

    def refused() -> None:
        raise BundleError("bundle: withdrawn; have another one installed")

    world.screener.trust.drift, world.rules = DriftFacts("off"), refused
    assert "withdrawn" in world.said()["model"]


def test_the_archive(world: World) -> None:
    world.state = {"waiting": 2, "held": 1, "done": 0, "error": "archive: connection refused"}
    assert world.said()["archive"] == "archive: connection refused; 3 exams wait, none is lost"
    world.state = {"waiting": 2, "held": 1, "done": 0, "error": ""}
    world.watch.sender_problem = "TLS: no certificate"
    assert "TLS" in world.said()["archive"]
    world.watch.sent()
    assert world.said()["archive"] == ""


def test_a_command_that_hangs_is_said() -> None:
    assert watch.stuck_problem(3.0) == ""
    assert "40 s" in watch.stuck_problem(40.0)

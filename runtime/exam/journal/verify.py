"""Verification: every row and every image against the trail, and the trail against itself, its seal and its anchors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from runtime.exam.errors import JournalDamaged, JournalError
from runtime.exam.journal import deliveries, lines
from runtime.exam.journal.anchors import Anchor, Told, wrong_anchor, wrong_event
from runtime.exam.journal.chain import Strand, digest
from runtime.exam.journal.fold import RETIRED, fold
from runtime.exam.journal.keyring import FILE as KEYS_FILE
from runtime.exam.journal.keyring import in_table
from runtime.exam.journal.schema import VERSION, strange_objects
from runtime.exam.journal.secrets import Secrets
from runtime.exam.journal.trail import own_strand, trail_end
from runtime.exam.journal.witness import FILE as WITNESS_FILE
from runtime.exam.journal.witness import Witnessed, missing_events

if TYPE_CHECKING:
    from runtime.exam.journal.reader import JournalReader

MOST_FINDINGS = 100
_META = {"journal_id", "keys", "number", "head", "own", "images"}


@dataclass(frozen=True)
class Discrepancy:
    """One thing that is not as it was written."""

    where: str
    """`event 17`, `image 3f2a…`, `exam 20261122-…`, ..."""
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class Verification:
    """What verification saw."""

    events: int
    exams: int
    images: int
    sealed: bool
    """Whether a key was there to check seals: without it only the links of the trail are looked at."""
    findings: tuple[Discrepancy, ...]
    """In the order of the trail, then tables, then images; at most `MOST_FINDINGS`. Empty when all is well."""


def verify(
    journal: JournalReader,
    told: Callable[[str], None] = lambda _: None,
    *,
    events: Sequence[tuple[int, str]] = (),
) -> Verification:
    """Look at everything in a journal that was opened with `check=False`. Reads only, one snapshot.

    `told` hears what is looked at next. events: number and hash (or its beginning) of events as an archive's report or
    the system's log told them. Raises `KeyUnusable` when the key is another journal's.
    """
    connection = journal.database.connection
    if journal.key is not None and journal.secrets is None:
        try:
            with journal.database.naming():
                journal.secrets = journal.keyring.secrets(connection, journal.key, f"journal {journal.folder}")
        except JournalDamaged:
            pass  # named below
    with journal.database.naming():
        witnessed = journal.witness.read()  # before the snapshot: another process may add events meanwhile
        anchored = [(anchor, _told(anchor)) for anchor in journal.anchors]
        connection.execute("SAVEPOINT verification")
        try:
            look = _Look(connection, journal, journal.secrets)
            findings = tuple(islice(look.everything(witnessed, anchored, events, told), MOST_FINDINGS))
            counts = [
                int(connection.execute(f"SELECT count({what}) FROM {table}").fetchone()[0])
                for what, table in (("*", "events"), ("*", "exams"), ("DISTINCT sha256", "images"))
            ]
        finally:
            connection.execute("RELEASE verification")
    return Verification(counts[0], counts[1], counts[2], journal.secrets is not None, findings)


def _told(anchor: Anchor) -> Told | JournalError | None:
    try:
        return anchor.read()
    except JournalError as error:
        return error


@dataclass(frozen=True)
class _Look:
    connection: sqlite3.Connection
    journal: JournalReader
    secrets: Secrets | None

    def everything(
        self,
        witnessed: Witnessed | None,
        anchored: Sequence[tuple[Anchor, Told | JournalError | None]],
        events: Sequence[tuple[int, str]],
        told: Callable[[str], None],
    ) -> Iterator[Discrepancy]:
        told("the file")
        for (said,) in self.connection.execute("PRAGMA integrity_check").fetchall():
            if said != "ok":
                yield Discrepancy("database", str(said))
        for said in strange_objects(self.connection, VERSION):
            yield Discrepancy("database", said)
        told("the trail")
        for where, problem in lines.altered_events(self.connection, self.secrets):
            yield Discrepancy(where, problem)
        yield from self._end(witnessed, anchored, events)
        yield from self._keys()
        if self.secrets is None:
            return
        yield from self._own(self.secrets)
        told("the exams")
        yield from self._exams(self.secrets)
        for row in self.connection.execute(f"SELECT {deliveries.COLUMNS} FROM deliveries"):
            if deliveries.opened(self.secrets, row) is None:
                yield Discrepancy(f"delivery of exam {row[0]} to {row[1]!r}", "altered: it is not what was sealed")
        told("the images")
        yield from self._images(self.secrets)

    def _end(
        self,
        witnessed: Witnessed | None,
        anchored: Sequence[tuple[Anchor, Told | JournalError | None]],
        events: Sequence[tuple[int, str]],
    ) -> Iterator[Discrepancy]:
        if witnessed is None:
            yield Discrepancy(WITNESS_FILE, "missing or unreadable: whether the newest events are here cannot be told")
        missing = missing_events(witnessed, trail_end(self.connection))
        if missing is not None:
            yield Discrepancy("end of the trail", missing)
        for anchor, told in anchored:
            if isinstance(told, JournalError):
                yield Discrepancy(f"anchor {anchor}", str(told))
            elif told is None and anchor.missing():
                yield Discrepancy(
                    f"anchor {anchor}", "it tells nothing: whether the newest events are here cannot be told"
                )
            else:
                wrong = (
                    None
                    if isinstance(told, JournalError)
                    else wrong_anchor(self.connection, anchor, told, self.secrets)
                )
                if wrong is not None:
                    yield Discrepancy("end of the trail", wrong)
        for seq, hash_ in events:
            kept = self.connection.execute("SELECT hash FROM events WHERE seq = ?", (seq,)).fetchone()
            whole = str(kept[0]) if kept is not None and str(kept[0]).startswith(hash_) else hash_
            wrong = wrong_event(self.connection, seq, whole, "what was told outside")
            if wrong is not None:
                yield Discrepancy("end of the trail", wrong)

    def _keys(self) -> Iterator[Discrepancy]:
        kept = dict(self.connection.execute("SELECT name, value FROM meta").fetchall())
        if in_table(self.connection) != self.journal.keyring.in_file():
            yield Discrepancy(f"meta 'keys', {KEYS_FILE}", "the two copies of the wrapped secrets differ")
        if self.journal.key is not None and self.secrets is None:
            yield Discrepancy("meta 'keys'", f"the wrapped secrets are damaged, here and in {KEYS_FILE}")
        if self.secrets is not None:
            expected = {"journal_id": self.secrets.journal_id, "number": str(self.secrets.current)}
            for name, value in expected.items():
                if kept.get(name) != value:
                    yield Discrepancy(f"meta {name!r}", "not what the secrets say")
            if "images" in kept and kept["images"] != "plain":
                yield Discrepancy("meta 'images'", "altered")
        for name in sorted(map(str, kept.keys() - _META)):
            yield Discrepancy(f"meta {name!r}", "no such entry was ever written")

    def _own(self, secrets: Secrets) -> Iterator[Discrepancy]:
        expected = Strand()
        for seq, hash_ in self.connection.execute("SELECT seq, hash FROM events WHERE exam IS NULL ORDER BY seq"):
            expected = expected.after(seq, str(hash_))
        try:
            if own_strand(self.connection, secrets) != expected:
                yield Discrepancy("meta 'own'", "the journal's own events are not those that were sealed")
        except JournalDamaged:
            yield Discrepancy("meta 'own'", "altered: it is not what was sealed")

    def _exams(self, secrets: Secrets) -> Iterator[Discrepancy]:
        """The table `exams`, and the vessel maps, against what the events make."""
        kept = {row[0]: row for row in self.connection.execute(f"SELECT {lines.COLUMNS_OF_LINE} FROM exams")}
        vessels: dict[Any, dict[Any, str]] = {}
        for exam, number, sealed in self.connection.execute("SELECT exam, capture, sealed FROM vessels"):
            vessels.setdefault(exam, {})[number] = _opened_sha256(secrets, exam, number, sealed)
        offsets = self._old_offsets(secrets)
        found = self.connection.execute(
            "SELECT exam, min(seq) FROM events WHERE exam IS NOT NULL GROUP BY exam ORDER BY 2"
        )
        for exam, _ in found.fetchall():
            try:
                expected, maps = self._expected(secrets, exam, offsets.get(exam))
            except Exception as error:  # whatever an altered event leads to, it is named and the rest is looked at
                yield Discrepancy(f"exam {exam}", f"its events make no exam ({type(error).__name__}: {error})")
                kept.pop(exam, None)
                vessels.pop(exam, None)
                continue
            if not lines.is_kept(secrets, kept.pop(exam, None), expected):
                yield Discrepancy(f"exam {exam}", "its row in the table exams is not what its events make")
            if vessels.pop(exam, {}) != maps:
                yield Discrepancy(f"exam {exam}", "its vessel maps are not those of its readings")
        for exam in sorted(map(str, {*kept, *vessels})):
            yield Discrepancy(f"exam {exam}", "no event opened it")

    def _old_offsets(self, secrets: Secrets) -> dict[str, int]:
        try:
            return lines.old_offsets(self.connection, secrets)
        except (JournalDamaged, ValueError, AttributeError, TypeError):  # which the trail's own check names
            return {}

    def _expected(
        self, secrets: Secrets, exam: str, utc_offset_s: int | None
    ) -> tuple[lines.SealedContent, dict[int, str]]:
        rows = lines.events_of(self.connection, secrets, exam)
        if rows[-1].kind == RETIRED:
            return lines.made_of(rows, utc_offset_s), {}
        folded = fold(rows, utc_offset_s)
        maps = {n: body["vessels_sha256"] for n, body in folded.readings.items() if body["vessels_sha256"]}
        return lines.kept_of(folded), maps

    def _images(self, secrets: Secrets) -> Iterator[Discrepancy]:
        """The table `images` against the events, in their order, and every file against its name."""
        kept = set(self.connection.execute("SELECT sha256, exam FROM images").fetchall())
        seen: set[str] = set()
        named: set[tuple[str, str]] = set()
        for seq, exam, sha256 in lines.named_images(self.connection, secrets):
            if (sha256, exam) not in kept:
                yield Discrepancy(f"image {sha256}", f"event {seq} names it, the table images does not")
            named.add((sha256, exam))
            if sha256 in seen:
                continue
            seen.add(sha256)
            try:
                self.journal.images.read(sha256)
            except (JournalError, ValueError) as error:
                yield Discrepancy(f"image {sha256}", f"{error} (exam {exam}, event {seq})")
        for sha256, exam in sorted(kept - named, key=str):
            yield Discrepancy(f"image {sha256}", f"the table images names it for exam {exam}, no event does")


def _opened_sha256(secrets: Secrets, exam: object, number: object, sealed: object) -> str:
    try:
        return digest(secrets.open("vessels", f"{exam} {number}", sealed))
    except JournalDamaged:
        return "altered"

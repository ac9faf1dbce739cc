"""Frames that must not enter a set: whole tables, or the part of them that training holds out for its figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from calibration.errors import CalibrationError
from calibration.facts import ExclusionFacts
from calibration.lookalike import Ways
from calibration.split import held_out
from calibration.tables import Listed, read_table
from device.errors import FrameUnreadable
from runtime.arrays import UInt8Array
from runtime.preprocess import network_input


@dataclass(frozen=True)
class KeepOut:
    """What is to be kept out."""

    tables: tuple[Path, ...] = ()
    """Tables (`labels.csv`) of which no frame may enter."""
    split_tables: tuple[Path, ...] = ()
    """Tables of which no frame may enter that `build_engines.train` holds out."""
    held_out_share: float = 0.2
    """The share that it was told to hold out."""

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share < 1:
            raise CalibrationError(f"held-out share: got {self.held_out_share}, expected a share between 0 and 1")


@dataclass
class Exclusion:
    """The frames to keep out, known by group, by pixels and by look."""

    facts: tuple[ExclusionFacts, ...] = ()
    groups: set[str] = field(default_factory=set)
    pixels: set[str] = field(default_factory=set)
    """SHA-256 of the RGB pixels, as `Frame.sha256`."""
    looks: list[Ways] = field(default_factory=list)

    def names(self, group: str | None, pixels_sha256: str) -> bool:
        """Whether the frame itself, or its group, is to be kept out."""
        return group in self.groups or pixels_sha256 in self.pixels

    def resembles(self, image: UInt8Array) -> bool:
        """Whether the frame looks like one that is to be kept out. image: RGB, uint8 [256, 256, 3]."""
        if not self.looks:
            return False
        ways = Ways.of(image)
        return any(ways.same(other) for other in self.looks)


def exclusion(keep_out: KeepOut) -> Exclusion:
    """Read the tables and look at every picture that they keep out.

    Raises `CalibrationError` when a table or one of its pictures cannot be read: a frame that nobody has seen cannot
    be told from others.
    """
    found = Exclusion()
    facts = []
    for path in keep_out.tables:
        table = read_table(path)
        facts.append(ExclusionFacts(table_sha256=table.sha256, rule="all", frames=len(table.rows)))
        _add(found, path, table.rows)
    for path in keep_out.split_tables:
        table = read_table(path)
        rows = _held_out(table.rows, keep_out.held_out_share)
        facts.append(
            ExclusionFacts(
                table_sha256=table.sha256,
                rule="held out",
                held_out_share=keep_out.held_out_share,
                frames=len(rows),
            )
        )
        _add(found, path, rows)
    found.facts = tuple(facts)
    return found


def _held_out(rows: tuple[Listed, ...], share: float) -> tuple[Listed, ...]:
    return tuple(row for row in rows if held_out(row.group, share))


def _add(found: Exclusion, table: Path, rows: tuple[Listed, ...]) -> None:
    for row in rows:
        found.groups.add(row.group)
        pixels_sha256, image = _seen(table, row)
        found.pixels.add(pixels_sha256)
        found.looks.append(Ways.of(image))


def _seen(table: Path, row: Listed) -> tuple[str, UInt8Array]:
    from device.cameras.files.folder import read_picture

    try:
        frame = read_picture(row.image, 0)
    except FrameUnreadable as error:
        raise CalibrationError(
            f"table {table}: a frame to keep out cannot be looked at: {error}; correct the table or copy the picture"
        ) from None
    return frame.sha256, network_input(frame.pixels)[0]

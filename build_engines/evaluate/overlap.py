"""Whether frames of an evaluation were seen before: by their hash, by their look, or in the same file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from build_engines.evaluate.cases import Table
from build_engines.evaluate.errors import EvaluationError
from calibration.errors import CalibrationError
from calibration.lookalike import LOW_FREQUENCIES, SAME_PICTURE, SAME_VIEW, Ways, cut_limits
from calibration.opened import open_set
from calibration.split import held_out
from calibration.tables import Listed, alike, read_table
from device.errors import FrameUnreadable
from runtime.arrays import FloatArray, UInt8Array
from runtime.preprocess import network_input

LOOK_BYTES = (LOW_FREQUENCIES * LOW_FREQUENCIES) // 8
LOOK_BITS = 8 * LOOK_BYTES
AT_ONCE = 1024


@dataclass
class Seen:
    """Frames by the hash of their pixels, the hash of the networks' input, and their look."""

    names: list[str] = field(default_factory=list)
    pixels: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    turned: list[tuple[int, ...]] = field(default_factory=list)
    """Looks of each frame mirrored and turned by quarters, and as a negative."""
    cut: list[tuple[int, ...]] = field(default_factory=list)
    """Looks of what is left of each without a margin or a part of one side, as `looks_cut`."""
    infants: set[str] = field(default_factory=set)
    """Codes, where a table tells infants apart."""
    unreadable: list[str] = field(default_factory=list)
    """Pictures that could not be looked at."""

    def add(self, name: str, pixels: UInt8Array | None, image: UInt8Array | None = None) -> None:
        """A frame by its pixels, RGB uint8 [H, W, 3], or by the networks' input alone, uint8 [256, 256, 3]."""
        if image is None:
            if pixels is None:
                raise ValueError("a frame needs its pixels or its input")
            image = network_input(pixels)[0]
        self.names.append(name)
        self.pixels.append("" if pixels is None else _sha256(pixels))
        self.inputs.append(_sha256(image))
        ways = Ways.of(image)
        self.looks.append(ways.whole)
        self.turned.append(ways.changed)
        self.cut.append(ways.cut)


@dataclass(frozen=True)
class Overlap:
    """Frames of the evaluation that are among others."""

    of: str
    """What the others are: `calibration set ...`, `training ...`, `the set that the threshold was chosen on`."""
    frames: int
    """How many the others are."""
    by_hash: tuple[str, ...]
    by_look: tuple[str, ...]
    """Not the same pixels, but nearly the same look: as it is, mirrored, turned by quarters, as a negative, or cut."""
    infants: tuple[str, ...] = ()
    """Codes of infants that stand in both tables; `P01 (there p1)` where they are `alike`."""
    same_file: bool = False
    by_path: tuple[str, ...] = ()
    """The same file as one of the others, whatever its pixels were when it was read."""

    @property
    def any(self) -> bool:
        """Whether anything was found."""
        return bool(self.by_hash or self.by_look or self.by_path or self.infants or self.same_file)


def overlap(ours: Seen, others: Seen, of: str) -> Overlap:
    """Which of our frames and infants are among the others."""
    pixels, inputs = set(others.pixels) - {""}, set(others.inputs)
    by_hash = [
        name
        for name, of_pixels, of_input in zip(ours.names, ours.pixels, ours.inputs, strict=True)
        if of_pixels in pixels or of_input in inputs
    ]
    same, near = set(by_hash), _near(ours.looks, others.looks, SAME_VIEW)
    for way in zip(*ours.turned, strict=True):
        near |= _near(way, others.looks, SAME_PICTURE)
    for limit, mine, theirs in zip(
        cut_limits(), zip(*ours.cut, strict=True), zip(*others.cut, strict=True), strict=False
    ):
        near |= _near(mine, others.looks, limit) | _near(ours.looks, theirs, limit)
    by_look = tuple(name for name, found in zip(ours.names, near, strict=True) if found and name not in same)
    return Overlap(of, len(others.names), tuple(by_hash), by_look, infants_in_both(ours.infants, others.infants))


@dataclass(frozen=True)
class Alike:
    """Pictures of one table that look like another infant's: as they are, mirrored, turned, as a negative, or cut."""

    compared: int
    """Pictures that could be looked at."""
    pairs: int
    frames: int
    """How many stand in the pairs."""
    infants: int | None
    """Whose they are; None where the table does not tell infants apart."""
    copies: tuple[tuple[str, str], ...]
    """Each that is like one above it in the table, and the first such one."""


def alike_within(seen: Seen, infants: Mapping[str, str | None]) -> Alike:
    """Pairs of one table's pictures that are alike by look, of other pixels and of two infants.

    One infant's views may well look the same, so they are not told; without codes (None) any pair is. infants: by the
    names of `seen`. A pair is within limits (`SAME_PICTURE`, of one that was cut `cut_limits`) in which no two places
    of real eyes were found to be.
    """
    of = [infants.get(name) for name in seen.names]
    codes = np.unique([code or f"\0{number}" for number, code in enumerate(of)], return_inverse=True)[1]
    pixels = np.unique([hashed or f"\0{number}" for number, hashed in enumerate(seen.pixels)], return_inverse=True)[1]
    ways = [_signs(way) for way in (seen.looks, *zip(*seen.turned, strict=True))]
    cuts = [(limit, _signs(way)) for limit, way in zip(cut_limits(), zip(*seen.cut, strict=True), strict=False)]
    count = len(seen.names)
    first, pairs, among = np.full(count, -1), 0, np.zeros(count, np.bool_)
    for start in range(0, count, AT_ONCE):
        upper = slice(start, start + AT_ONCE)
        for later in range(start, count, AT_ONCE):
            lower = slice(later, later + AT_ONCE)
            near = np.logical_or.reduce([_within(way[upper], ways[0][lower], SAME_PICTURE) for way in ways])
            for limit, way in cuts:
                near |= _within(way[upper], ways[0][lower], limit) | _within(ways[0][upper], way[lower], limit)
            near &= (codes[upper, None] != codes[None, lower]) & (pixels[upper, None] != pixels[None, lower])
            if start == later:
                near = np.triu(near, 1)
            pairs += int(near.sum())
            among[upper] |= near.any(axis=1)
            among[lower] |= near.any(axis=0)
            fresh = near.any(axis=0) & (first[lower] < 0)
            first[lower] = np.where(fresh, start + near.argmax(axis=0), first[lower])
    told = {of[number] for number in np.flatnonzero(among)}
    return Alike(
        count,
        pairs,
        int(among.sum()),
        len(told - {None}) if any(of) else None,
        tuple((seen.names[number], seen.names[first[number]]) for number in np.flatnonzero(first >= 0)),
    )


def overlap_as_read(
    found: Overlap, ours: Mapping[str, Collection[str]], theirs: Collection[str], same_paths: Collection[str] = ()
) -> Overlap:
    """With what readings know, also where pictures cannot be looked at any more.

    ours: by name the SHA-256 of the pixels that were read. theirs: those of the others. same_paths: our names that lead
    to files of theirs.
    """
    known, looked_at = set(theirs) - {""}, set(found.by_hash)
    by_hash = [name for name, hashes in ours.items() if name in looked_at or not known.isdisjoint(hashes)]
    named = set(by_hash)
    by_path = [name for name in ours if name in same_paths and name not in named]
    named |= set(by_path)
    by_look = [name for name in found.by_look if name not in named]
    return replace(found, by_hash=tuple(by_hash), by_look=tuple(by_look), by_path=tuple(by_path))


def infants_in_both(ours: Collection[str], theirs: Collection[str]) -> tuple[str, ...]:
    """Our codes that stand among theirs, also those that are `alike`."""
    known = {alike(code): code for code in sorted(theirs)}
    return tuple(
        code if code in theirs else f"{code} (there {known[alike(code)]})"
        for code in sorted(ours)
        if alike(code) in known
    )


def seen_of_set(path: Path) -> tuple[Seen, str]:
    """The frames of a calibration set, and its SHA-256."""
    calibration = open_set(path)
    seen = Seen()
    for number, image in enumerate(calibration.frames()):
        seen.add(str(number), None, image)
    return seen, calibration.sha256


def seen_of_table(path: Path) -> Seen:
    """Every picture of a table that can be read, and the others by name. Raises `EvaluationError` where none can."""
    return _of_rows(read_table(path).rows, path)


def seen_of_training(path: Path, share: float) -> Seen:
    """Pictures of a table that are not held out of training by their frame group."""
    try:
        rows = [row for row in read_table(path).rows if not held_out(row.group, share)]
    except CalibrationError as error:
        raise EvaluationError(str(error)) from None
    return _of_rows(rows, path)


def seen_of(path: Path) -> tuple[Seen, str | None]:
    """Of a calibration set (and its SHA-256), a table, or a folder of pictures and of folders of such.

    A picture that cannot be read is named among `Seen.unreadable`. Raises `EvaluationError`, also where none can.
    """
    try:
        if (path / "set.json").is_file():
            return seen_of_set(path)
        if path.is_dir():
            return _pictures(_below(path), str(path)), None
        return seen_of_table(path), None
    except CalibrationError as error:
        raise EvaluationError(str(error)) from None


def seen_of_cases(table: Table, report: Callable[[str], None] = lambda line: None) -> Seen:
    """The pictures of an evaluation's table that can be read, and the others by name."""
    from device.cameras.files.folder import read_picture

    report(f"looking at {len(table.cases)} pictures of {table.path.name}")
    seen = Seen(infants={case.infant for case in table.cases if case.infant})
    for case in table.cases:
        try:
            seen.add(case.image, read_picture(table.folder / case.image, 0).pixels)
        except FrameUnreadable:
            seen.unreadable.append(case.image)
    return seen


def _of_rows(rows: Sequence[Listed], path: Path) -> Seen:
    seen = _pictures((row.image for row in rows), str(path))
    seen.infants = {row.infant for row in rows if row.infant}
    return seen


def _below(folder: Path) -> Iterator[Path]:
    """The pictures of a folder, and of those in it."""
    from device.cameras.files.folder import scan

    found = scan(folder)
    yield from (Path(entry.path) for entry in found.pictures)
    for entry in found.others:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))


def _pictures(paths: Iterator[Path], of: str) -> Seen:
    from device.cameras.files.folder import read_picture

    seen, first = Seen(), ""
    for path in paths:
        try:
            seen.add(path.name, read_picture(path, 0).pixels)
        except FrameUnreadable as error:
            seen.unreadable.append(path.name)
            first = first or str(error)
    if not seen.names and first:
        raise EvaluationError(
            f"{of}: none of {len(seen.unreadable)} pictures can be looked at: {first}; mend the table or copy them"
        )
    if not seen.names:
        raise EvaluationError(f"{of}: holds no pictures; expected a calibration set, a table or a folder of pictures")
    return seen


def _near(ours: Sequence[int], others: Sequence[int], most_bits: int) -> NDArray[np.bool_]:
    """Whether each look is within so many bits of any other."""
    mine, theirs = _signs(ours), _signs(others)
    found = np.zeros(len(ours), np.bool_)
    for first in range(0, len(mine), AT_ONCE):
        some = mine[first : first + AT_ONCE]
        for start in range(0, len(theirs), AT_ONCE):
            found[first : first + AT_ONCE] |= _within(some, theirs[start : start + AT_ONCE], most_bits).any(axis=1)
    return found


def _signs(looks: Sequence[int]) -> FloatArray:
    """Each bit as 1 or -1, float32 [N, LOOK_BITS]: the product of two looks counts the bits that differ."""
    joined = b"".join(value.to_bytes(LOOK_BYTES, "big") for value in looks)
    bits = np.unpackbits(np.frombuffer(joined, np.uint8).reshape(-1, LOOK_BYTES), axis=1)
    signs: FloatArray = np.where(bits, np.float32(1), np.float32(-1))
    return signs


def _within(ours: FloatArray, others: FloatArray, most_bits: int) -> NDArray[np.bool_]:
    """Of each of ours and each other, [N, M], whether at most so many bits differ."""
    return np.asarray(ours @ others.T >= LOOK_BITS - 2 * most_bits, np.bool_)


def _sha256(pixels: UInt8Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()

"""`check`: every part of `cart.toml` proven in turn, as a tree of what works, what does not, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

from device.errors import DeviceError
from device.live.source import shown_source
from runtime.cart.configured import camera_of, journal_of, light_of, ordering_of, parts_of, still_of
from runtime.cart.lighting import board_words
from runtime.cart.parts import Parts
from runtime.cart.server import Address
from runtime.cart.texts import Texts
from runtime.cart.users import load_users
from runtime.config import CartConfig
from runtime.dicom.configuration import Archive, DicomConfig, load_dicom_config
from runtime.errors import ScreeningError

FRAME_WAIT_S = 15.0
NONE = "none configured"


@dataclass(frozen=True)
class PartCheck:
    """One part."""

    part: str
    problem: str
    """Empty where it works."""
    fact: str = ""
    """What was found, in a few words."""
    skipped: bool = False
    """Not configured, or not to be tried because something before it does not work."""


def findings(config: CartConfig) -> Iterator[PartCheck]:
    """Try every part; what one lacks does not keep the others from being tried."""
    parts: Parts | None = None

    def make() -> str:
        nonlocal parts
        parts = parts_of(config, send=False)
        return parts.rules().bundle.name

    yield _tried("site and bundle", make)
    yield (
        _tried("users", lambda: _users(config))
        if config.users
        else PartCheck(
            "users", "no users file named; nobody can sign in: python -m runtime.cart user NAME, and users = ... "
        )
    )
    yield _tried("web", lambda: _web(config))
    yield _tried("journal", lambda: _journal(config))
    if (known := parts) is None:
        yield PartCheck("engine", "", "waits for site and bundle", skipped=True)
    else:
        yield _tried("engine", lambda: _engine(known))
    yield _tried(f"camera {shown_source(config.camera.source) if config.camera else ''}", lambda: _camera(config))
    if config.camera is not None and config.camera.still:
        yield _tried("still camera", lambda: _still(config))
    if config.light is None:
        yield PartCheck("light board", "", NONE, skipped=True)
    else:
        yield _tried("light board", lambda: _light(config))
    yield from _hospital(config)


def _hospital(config: CartConfig) -> Iterator[PartCheck]:
    """What the site's DICOM file names; what is wrong with that file itself stands under site and bundle."""
    dicom = None
    with suppress(ScreeningError):
        dicom = None if config.site.dicom is None else load_dicom_config(config.site.dicom)
    ordering = ordering_of(dicom)
    if ordering is None:
        yield PartCheck("worklist", "", NONE, skipped=True)
    else:
        yield _tried("worklist", lambda: f"{len(ordering())} orders today")
    archive = None if dicom is None else dicom.archive
    if dicom is None or archive is None:
        yield PartCheck("archive", "", NONE, skipped=True)
    else:
        yield _tried("archive", partial(_archive, dicom, archive))


def _tried(part: str, try_it: Callable[[], str]) -> PartCheck:
    try:
        return PartCheck(part, "", try_it())
    except (ScreeningError, DeviceError) as error:
        return PartCheck(part, str(error))
    except Exception as error:  # the other parts are tried all the same
        return PartCheck(part, f"a fault of this software ({type(error).__name__}: {error}); report it")


def _users(config: CartConfig) -> str:
    assert config.users is not None
    return f"{len(load_users(config.users))} users"


def _web(config: CartConfig) -> str:
    address, languages = Address.of(config.web), Texts(only=config.languages).languages
    return f"{address.host}:{address.port}, {', '.join(one['name'] for one in languages)}"


def _journal(config: CartConfig) -> str:
    with journal_of(config) as journal:
        return f"{len(journal.exams())} exams, {journal.free_bytes() // 2**20} MiB free"


def _engine(parts: Parts) -> str:
    with closing(parts.open_screener(None)) as screener:
        facts = screener.facts
        screener.between_frames()
        if screener.problem:
            raise ScreeningError(screener.problem)
        return f"{facts.backend} {facts.precision} on {facts.device}"


def _camera(config: CartConfig) -> str:
    with camera_of(config) as reader:
        began = time.monotonic()
        frame = reader.next_unseen(FRAME_WAIT_S * 1000)
        if frame is None:
            raise ScreeningError("the camera gave no frame; look at it")
        return f"{frame.width} x {frame.height} after {time.monotonic() - began:.1f} s"


def _still(config: CartConfig) -> str:
    """Whether the way is there. No picture is asked for: it may be flashed, and there is no account to count it on."""
    with closing(still_of(config)) as still:
        still.look()
        return still.reach()


def _light(config: CartConfig) -> str:
    part = light_of(config)
    assert part is not None
    link = part.open_link()
    try:
        return board_words(link, part)
    finally:
        with suppress(DeviceError):
            link.close()


def _archive(site: DicomConfig, archive: Archive) -> str:
    from runtime.dicom.association import address
    from runtime.dicom.reach import classes_refused

    if refused := classes_refused(site, archive):
        raise ScreeningError(f"{address(archive)} takes no {', no '.join(refused)}; have it accept these classes")
    return f"{address(archive)} takes what an exam sends"

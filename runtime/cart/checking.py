"""`check`: every part of `cart.toml` proven in turn, as a tree of what works, what does not, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

from device.errors import DeviceError
from device.live.source import shown_source
from runtime.cart.configured import parts_of
from runtime.cart.lighting import board_words
from runtime.cart.parts import Parts
from runtime.cart.server import Address
from runtime.cart.texts import Texts
from runtime.cart.users import load_users
from runtime.config import CartConfig
from runtime.errors import ScreeningError

FRAME_WAIT_S = 15.0


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
    if parts is None:
        yield from (PartCheck(name, "", skipped=True) for name in ("journal", "engine", "camera", "light board"))
        return
    known = parts
    yield _tried("journal", lambda: _journal(known))
    yield _tried("engine", lambda: _engine(known))
    yield _tried(f"camera {shown_source(config.camera.source) if config.camera else ''}", lambda: _camera(known))
    if known.light is None:
        yield PartCheck("light board", "", "none configured", skipped=True)
    else:
        yield _tried("light board", lambda: _light(known))
    if known.ordering is None:
        yield PartCheck("worklist", "", "none configured", skipped=True)
    else:
        yield _tried("worklist", lambda: _worklist(known))
    if known.archive:
        yield _tried("archive", lambda: _archive(config))
    else:
        yield PartCheck("archive", "", "none configured", skipped=True)


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


def _journal(parts: Parts) -> str:
    with parts.open_journal() as journal:
        return f"{len(journal.exams())} exams, {journal.free_bytes() // 2**20} MiB free"


def _engine(parts: Parts) -> str:
    with closing(parts.open_screener(None)) as screener:
        facts = screener.facts
        screener.between_frames()
        if screener.problem:
            raise ScreeningError(screener.problem)
        return f"{facts.backend} {facts.precision} on {facts.device}"


def _camera(parts: Parts) -> str:
    with parts.open_camera() as reader:
        began = time.monotonic()
        frame = reader.next_unseen(FRAME_WAIT_S * 1000)
        if frame is None:
            raise ScreeningError("the camera gave no frame; look at it")
        return f"{frame.width} x {frame.height} after {time.monotonic() - began:.1f} s"


def _light(parts: Parts) -> str:
    assert parts.light is not None
    link = parts.light.open_link()
    try:
        return board_words(link, parts.light)
    finally:
        with suppress(DeviceError):
            link.close()


def _archive(config: CartConfig) -> str:
    from runtime.dicom.association import address
    from runtime.dicom.configuration import load_dicom_config
    from runtime.dicom.reach import classes_refused

    assert config.site.dicom is not None
    site = load_dicom_config(config.site.dicom)
    assert site.archive is not None
    if refused := classes_refused(site, site.archive):
        raise ScreeningError(f"{address(site.archive)} takes no {', no '.join(refused)}; have it accept these classes")
    return f"{address(site.archive)} takes what an exam sends"


def _worklist(parts: Parts) -> str:
    assert parts.ordering is not None
    return f"{len(parts.ordering())} orders today"

"""Whatever a site's signed profile and keys say is obeyed by the cart, whoever reads for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from device.frame import Frame
from device.live import LiveReader
from runtime.cart.__main__ import main
from runtime.cart.cart import Cart
from runtime.cart.configured import parts_of
from runtime.cart.errors import CartError
from runtime.cart.hints import Hint
from runtime.config import load_config
from runtime.errors import ScreeningError
from runtime.exam.infant import Infant
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key, write_new_key
from runtime.views import View
from tests.runtime.cart.driving import taken, until
from tests.runtime.word.conftest import AtSite
from tests.runtime.word.drivers import INFANT, PATIENCE_S, Options, Said, Serving, serving
from tests.runtime.word.test_sites_word import PROFILES, REFUSALS, holds
from tests.runtime.word.tiny import PICTURE


class SameEye:
    """A camera that shows one picture again and again, no two frames equal."""

    live, frame_count, name = True, None, "same eye"

    def __init__(self) -> None:
        self.number, self.closed = 0, Event()

    def read(self) -> Frame | None:
        """About 50 a second."""
        if self.closed.wait(0.02):
            return None
        self.number += 1
        pixels = PICTURE.copy()
        pixels[0, 0] = np.frombuffer(self.number.to_bytes(3, "little"), np.uint8)
        return Frame(pixels, sequence=self.number, source=f"eye:{self.number}")

    def close(self) -> None:
        """End it."""
        self.closed.set()

    def __enter__(self) -> SameEye:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def cart_file(folder: Path, options: Options, *, socket: Path | None = None, camera: str = "") -> Path:
    """A `cart.toml` that says what the options of a command say."""
    files = dict(zip(options[::2], options[1::2], strict=True))
    site = [f'{key} = "{files[name]}"\n' for key, name in SITE_KEYS.items() if name in files]
    if not (folder / "journal.key").exists():
        write_new_key(folder / "journal.key")
    reads = "" if socket is None else f'reader = "daemon"\ndaemon_socket = "{socket}"\n'
    path = folder / "cart.toml"
    path.write_text(
        f'schema = "rop.cart/1"\njournal = "cart-journal"\nkey_file = "journal.key"\n{reads}'
        f'[camera]\nsource = "sim:fps=15"\n{camera}'
        f'[bundle]\nfolder = "{files["--bundle"]}"\n[site]\n{"".join(site)}'
    )
    return path


SITE_KEYS = {"profile": "--site-profile", "trusted_keys": "--trusted-keys"}


@contextmanager
def started(path: Path) -> Iterator[Cart]:
    """The cart of that file, on a camera that shows the picture."""
    parts = parts_of(load_config(path), send=False)
    with Cart(replace(parts, open_camera=lambda: LiveReader(SameEye, "same eye"))) as cart:
        until(lambda: all(not p["problem"] for p in cart.health() if p["name"] in ("camera", "software")), "ready")
        yield cart


def said(path: Path) -> Said:
    """Of a picture that the cart took; by its journal, which has to say what the screen said."""
    with started(path) as cart:
        exam = cart.open_exam(Infant.from_dict(INFANT), operator="anna").result(PATIENCE_S)["exam"]
        shown = taken(cart, View.NASAL)
    config = load_config(path)
    with Journal.open(config.journal, find_key(config.key_file)) as journal:
        reading: Any = journal.exam(exam).captures[-1].reading
    assert (shown["outcome"], shown["reason"]) == (reading["outcome"], reading["reason"])
    return Said(reading["outcome"], reading["reason"], reading["budget_ms"], reading["late"], reading["trust"])


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_reaches_every_reading(at_site: AtSite, profile: str) -> None:
    changes, outcome, words, late = PROFILES[profile]
    found = said(cart_file(at_site.folder, at_site.options(**changes), camera="budget_ms = 60000\n"))
    holds(found, outcome, words, late, changes.get("budget_ms", {}).get("total", 60000))


@pytest.mark.parametrize("profile", ["higher threshold", "another limit", "budget in total"])
def test_a_profile_reaches_every_reading_of_a_daemon(at_site: AtSite, profile: str) -> None:
    changes, outcome, words, late = PROFILES[profile]
    options, socket = at_site.options(**changes), at_site.folder / "s"
    with serving(socket, options) as daemon:
        assert isinstance(daemon, Serving), daemon
        found = said(cart_file(at_site.folder, options, socket=socket, camera="budget_ms = 60000\n"))
    holds(replace(found, trust=None), outcome, words, late, changes.get("budget_ms", {}).get("total", 60000))


@pytest.mark.parametrize("profile", ["one limit", "another limit", "budget in total"])
def test_a_daemon_that_was_started_without_the_profile_gives_no_finding_against_it(
    at_site: AtSite, profile: str
) -> None:
    changes, outcome, words, late = PROFILES[profile]
    socket, nothing = at_site.folder / "s", at_site.options()
    with serving(socket, nothing) as daemon:
        assert isinstance(daemon, Serving), daemon
        path = cart_file(at_site.folder, at_site.options(**changes), socket=socket, camera="budget_ms = 60000\n")
        found = said(path)
    assert (found.outcome, found.late) == (outcome, late)
    assert found.reason is not None
    assert words in found.reason


def test_a_daemon_under_another_threshold_gives_no_finding(at_site: AtSite) -> None:
    socket = at_site.folder / "s"
    with serving(socket, at_site.options(refer_threshold=0.85)) as daemon:
        assert isinstance(daemon, Serving), daemon
        path = cart_file(at_site.folder, at_site.options(), socket=socket, camera="budget_ms = 60000\n")
        assert said(path).outcome == "NO_RESULT"


@pytest.mark.parametrize(("sites_ms", "asked_ms"), [(1e-3, 60000.0), (60000.0, 1e-3)])
def test_of_the_sites_budget_and_the_carts_the_smaller_counts(
    at_site: AtSite, sites_ms: float, asked_ms: float
) -> None:
    options = at_site.options(budget_ms={"total": sites_ms})
    found = said(cart_file(at_site.folder, options, camera=f"budget_ms = {asked_ms}\n"))
    holds(found, "NO_RESULT", "late: ", True, 1e-3)


def test_views_and_retakes_reach_the_exam(at_site: AtSite) -> None:
    options = at_site.options(required_views=["nasal", "temporal"], retakes=1, refer_threshold=0.85)
    path = cart_file(at_site.folder, options)
    with started(path) as cart:
        exam = cart.open_exam(Infant.from_dict(INFANT), operator="anna").result(PATIENCE_S)["exam"]
    config = load_config(path)
    with Journal.open(config.journal, find_key(config.key_file)) as journal:
        rules = journal.exam(exam).rules
    assert ([view.value for view in rules.required_views], rules.retakes) == (["nasal", "temporal"], 1)
    assert rules.threshold == 0.85
    assert rules.site_profile_sha256 is not None


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_the_site_does_not_vouch_for_gives_no_reading(
    at_site: AtSite, refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = REFUSALS[refusal]
    path = cart_file(at_site.folder, make(at_site))
    with pytest.raises(ScreeningError, match=words):
        parts_of(load_config(path))
    assert main(["check", "--config", str(path)]) != 0
    told = capsys.readouterr()
    assert words in told.out + told.err
    assert "Traceback" not in told.err


def test_a_cart_without_a_camera_is_refused_before_anything_is_opened(at_site: AtSite) -> None:
    config = load_config(cart_file(at_site.folder, at_site.options()))
    with pytest.raises(CartError, match="no table \\[camera\\]"):
        parts_of(config.model_copy(update={"camera": None}))


def test_the_live_pictures_hints_obey_the_site(at_site: AtSite) -> None:
    with started(cart_file(at_site.folder, at_site.options(quality_limits={"brightness_min": 250.0}))) as cart:
        shown = cart.preview.after(0).result(PATIENCE_S)
    assert shown is not None
    assert shown.framing.hint is Hint.TOO_DARK

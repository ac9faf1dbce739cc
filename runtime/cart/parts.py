"""`Parts`: what a cart is made of, as ways to open each part; from `cart.toml`, or simulated for the demonstration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from device.cameras.stills import StillSource
from device.light.calibration import LightCalibration
from device.light.link import BoardLink
from device.live import LiveReader
from runtime.bundles.actions import Means
from runtime.cart.orders import Ordering
from runtime.cart.sending import Send
from runtime.cart.shots import ShotLighting
from runtime.dicom.configuration import CartNode as StationFacts
from runtime.exam.errors import KeyUnusable
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import HOW, find_key
from runtime.exam.light import LightJournal
from runtime.exam.rules import ExamRules
from runtime.quality import QualityLimits
from runtime.reading import EngineFacts, Reader, TrustFacts
from runtime.screener import Screener
from runtime.views import Eye, View


def account_of(journal: Path, key_file: Path | None, anchors: Sequence[str] = ()) -> LightJournal:
    """Where light is counted; raises `KeyUnusable` without the journal's key."""
    key = find_key(key_file)
    if key is None:
        raise KeyUnusable(f"journal {journal}: light is counted in it under its key; {HOW}")
    return LightJournal(journal, key, anchors=anchors)


@dataclass(frozen=True)
class LightPart:
    """The light and trigger board, and how it is used."""

    open_link: Callable[[], BoardLink]
    """Connects; raises `LightError`."""
    open_account: Callable[[], LightJournal]
    """Where light is counted, by infant."""
    calibration: Callable[[BoardLink], LightCalibration]
    """The checked calibration of the board that answers; raises `CalibrationInvalid`."""
    preview_level: int
    """Drive level of the continuous light while the operator aims; 0 for none."""
    flash: ShotLighting | None
    """None where pictures are taken by the continuous light."""


class FrameReader(Reader, Protocol):
    """What reads frames: a `Screener` in this process, or a `DaemonReader`."""

    @property
    def facts(self) -> EngineFacts:
        """What runs the networks."""
        ...

    @property
    def trust(self) -> TrustFacts | None:
        """Who stands for the model; None where that is another program's to know."""
        ...

    @property
    def problem(self) -> str:
        """Why there would be no result, "" when there would."""
        ...

    def between_frames(self) -> None:
        """Called while there is no frame. Never raises, a lost engine aside."""
        ...

    def close(self) -> None:
        """Give the engine back. Closing twice is fine."""
        ...


@dataclass(frozen=True)
class Parts:
    """Every part of a cart. What is called here is called in the thread that will use it."""

    station: str
    """As the journal and the screens name it."""
    open_journal: Callable[[], Journal]
    open_screener: Callable[[float | None], FrameReader]
    """With the threshold of an exam that was opened under another one than the site's; None for the site's."""
    rules: Callable[[], ExamRules]
    """For a new exam; raises `ScreeningError` when there can be none (an expired profile, say)."""
    open_camera: Callable[[], LiveReader]
    use_bundle: Callable[[str | None], bool] = lambda sha256: False
    """Have `open_screener` and `rules` use an exam's bundle, by its SHA-256, or the active one (None); whether it is
    another one than before. Raises `ScreeningError` where the active one cannot be had."""
    bundle_problem: Callable[[], str] = lambda: ""
    """Why an open exam does not go on under its own bundle, "" when it does."""
    ae_title: str = ""
    """As the worklist names this station."""
    light: LightPart | None = None
    open_still: Callable[[], StillSource] | None = None
    open_explainer: Callable[[], Screener] | None = None
    """Tells the gates of a stored picture where what reads cannot (a daemon, a GPU); opened when first asked for."""
    ordering: Ordering | None = None
    """The worklist, None where the site has none."""
    limits: Callable[[], QualityLimits] = QualityLimits
    """Of the gate as it reads now: the site's and the bundle's, which may change between exams. Asked by any thread."""
    health: Sequence[Callable[[], tuple[str, str]]] = ()
    """Further lines of the health list: (name, what is wrong or empty)."""
    station_facts: StationFacts = field(default_factory=StationFacts)
    """What the report says of the cart."""
    archive: bool = True
    """Whether the site has an archive."""
    still_timeout_ms: float = 8000.0
    """How long a still picture may take to come."""
    aimed: Callable[[Eye, View], None] = lambda eye, view: None
    """Told what is aimed at: for a camera that turns by itself, as the simulated one does."""
    taken: Callable[[], None] = lambda: None
    """Told after each picture."""
    opened: Callable[[], None] = lambda: None
    """Told when an exam was opened."""
    bundles: Means | None = None
    """How bundles are installed and activated on the Service screen; None where the cart's bundle is a fixed one."""
    after_bundle: str = ""
    """What a technician has to do besides once another bundle is active."""
    sign_in_hint: str = ""
    """Shown at the sign-in; of a demonstration only."""
    send: Send | None = None
    """Sends what is due until told to stop, in a thread of the cart's; None where another program does."""

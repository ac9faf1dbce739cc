"""The content of `cart.toml` (`rop.cart/1`): every key with its meaning and bounds; nothing is opened here."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from device.checked_file import SumDiffers, place_of, read_summed, writable_by_anybody
from device.refused_value import refused_value
from runtime.errors import ConfigUnusable
from runtime.exact import EXACT
from runtime.views import DEFAULT_RETAKES, MOST_RETAKES, View

LIMIT_BYTES = 1 << 20
Whole = Annotated[int, Field(strict=True)]
"""Neither `true`, which Python counts as 1, nor `2.0`, nor `"2"`; so is every number of the file."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Milliseconds = Annotated[Number, Field(gt=0, le=1e9)]
Level = Annotated[Whole, Field(gt=0, le=65535)]


def _nameable(path: Path) -> Path:
    """What no file can be called is refused here, and not by whatever looks for it first."""
    whole, names = os.fsencode(path), [os.fsencode(name) for name in path.parts]
    if b"\0" in whole:
        raise ValueError("got a path with a NUL in it, expected one that a file can have")
    if len(whole) > LONGEST_PATH or max(map(len, names), default=0) > LONGEST_NAME:
        raise ValueError(
            f"got a path of {len(whole)} bytes, expected at most {LONGEST_PATH}, and {LONGEST_NAME} for each name in it"
        )
    return path


def _named(given: Any) -> Any:
    """Nothing is no path: joined to the file's folder it would be that folder."""
    if isinstance(given, str) and not given.strip():
        raise ValueError(f"got {given[:20]!r}, expected a path; leave the line out where there is none")
    return given


LONGEST_NAME, LONGEST_PATH = 255, 4095
"""Bytes, as Linux has them."""
Place = Annotated[Path, BeforeValidator(_named), AfterValidator(_nameable)]
PATHS_OF = {
    "": ("journal", "key_file", "users", "daemon_socket"),
    "light": ("calibration", "trusted_keys"),
    "bundle": ("folder",),
    "site": ("profile", "trusted_keys", "dicom"),
    "web": ("certificate", "key"),
}
"""Keys that hold paths, by table; a relative one is taken from the folder of the file."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CameraSection(_Part):
    """`[camera]`: where frames come from."""

    source: str = Field(min_length=1)
    """As for `python -m runtime.screen`: `camera:0`, `aravis:`, `rtsp://...`, `sim:`."""
    still: str = ""
    """Where the still comes from, when that is another source than the live picture."""
    budget_ms: Milliseconds = 1000
    """From a frame's arrival to its reading, milliseconds; what takes longer is no result."""


class TimingSection(_Part):
    """`[light.timing]`: when the camera exposes the frames that it stamps, milliseconds (device/light/exposure.py)."""

    exposure_ms: Milliseconds
    stamped_after_ms: Number = Field(default=0.0, ge=-1e9, le=1e9)
    uncertainty_ms: Number = Field(default=0.5, ge=0, le=1e9)


class LightSection(_Part):
    """`[light]`: the light and trigger board. Leave the table out where there is none."""

    port: str = Field(min_length=1)
    """`/dev/ttyACM0`, any URL of pyserial, or `simulated`."""
    protocol: Annotated[Literal[1, 2], EXACT] = 2
    """ROPLINK/2; 1 for a board of the older kind, on which frames recorded from the line can be played back."""
    calibration: Place | None = None
    """The board's signed calibration; only a simulated board needs none."""
    trusted_keys: Place | None = None
    """Folder of the laboratories' public keys (*.pem); the site's when left out."""
    led_level: Level | None = None
    """Continuous light for aiming, as the board counts; none when left out."""
    flash_us: Annotated[Whole, Field(gt=0, lt=2**32)] | None = None
    """Flash of a capture, microseconds; a capture is taken without flash when left out."""
    flash_level: Level | None = None
    timing: TimingSection | None = None


class BundleSection(_Part):
    """`[bundle]`: the model and what runs it."""

    folder: Place | None = None
    """A bundle, or a folder of slots; the demonstration bundle when left out."""
    engine: str = "auto"
    precision: str = "auto"


class SiteSection(_Part):
    """`[site]`: what the site decided, and whom it trusts."""

    profile: Place | None = None
    """The signed profile."""
    trusted_keys: Place | None = None
    """Folder of the public keys (*.pem) of those who may sign."""
    dicom: Place | None = None
    """The site's DICOM configuration (`rop.dicom/1`)."""


class ExamSection(_Part):
    """`[exam]`: what an exam needs, where no signed profile says it."""

    views: tuple[View, ...] = tuple(View)
    """Required views of each eye."""
    retakes: Whole = Field(default=DEFAULT_RETAKES, ge=0, le=MOST_RETAKES)

    @field_validator("views")
    @classmethod
    def _each_once(cls, views: tuple[View, ...]) -> tuple[View, ...]:
        if not views or len(set(views)) != len(views):
            raise ValueError("expected at least one view, each once")
        return views


class WebSection(_Part):
    """`[web]`: the screen's pages."""

    address: str = Field(default="127.0.0.1", min_length=1)
    """Where they are served; another than this machine's own needs certificate and key."""
    port: Whole = Field(default=8420, ge=0, lt=65536)
    names: tuple[str, ...] = ()
    """Further names by which this machine is called."""
    certificate: Place | None = None
    key: Place | None = None
    lock_minutes: Number = Field(default=5, gt=0, le=600)
    """Without a touch or a key for so long the screen locks; an open exam stays open."""


class CartConfig(_Part):
    """The whole file. Paths are absolute after `load_config`."""

    schema_: Literal["rop.cart/1"] = Field(alias="schema")
    station: str = ""
    """Which cart; kept with each exam."""
    operator: str = ""
    """Who works at the cart, for scripts; a person at the screen signs in."""
    journal: Place = Path("journal")
    """Folder of the journal."""
    key_file: Place | None = None
    """The journal's key, readable by its owner only; systemd's credential or `ROP_JOURNAL_KEY` when left out."""
    anchors: tuple[Annotated[str, BeforeValidator(_named)], ...] = ()
    """Files outside of the journal, best of another owner, or `syslog`: told the newest event, and compared."""
    reader: Literal["own", "daemon"] = "own"
    """Who reads: this program with an engine of its own, or a `ropscreend` beside it."""
    daemon_socket: Place = Path("/run/ropscreend/socket")
    """Where that one listens."""
    users: Place | None = None
    """Who may sign in at the screen."""
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    """That the screen offers; the first one for a browser that asks for none of them."""
    camera: CameraSection | None = None
    light: LightSection | None = None
    bundle: BundleSection = BundleSection()
    site: SiteSection = SiteSection()
    exam: ExamSection = ExamSection()
    web: WebSection = WebSection()


def load_config(path: Path) -> CartConfig:
    """Read the file. Raises `ConfigUnusable`, which names the key."""
    if (opened := writable_by_anybody(path)) is not None:
        raise ConfigUnusable(
            f"{path}: every user of this machine may write {opened}, and so say which keys the cart trusts; "
            f"chmod o-w {opened}, and look at what it says"
        )
    try:
        content = _toml(path)
    except OSError as error:
        raise ConfigUnusable(f"{path}: cannot be read ({error.strerror}); name the cart's cart.toml") from None
    except SumDiffers as error:
        raise ConfigUnusable(f"{path.name}: {error}") from None
    except ValueError as error:  # not UTF-8, or not TOML; the text says line and column
        raise ConfigUnusable(f"{path.name}: is no TOML: {error}; correct the file") from None
    try:
        return CartConfig.model_validate(_absolute(content, path.absolute().parent))
    except ValidationError as error:
        raise ConfigUnusable(f"{path.name}: {_problems(error)}; see runtime/config/README.md") from None


def _toml(path: Path) -> dict[str, Any]:
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # one API, by two names
    content: dict[str, Any] = tomllib.loads(read_summed(path, LIMIT_BYTES).decode("utf-8"))
    return content


def _absolute(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with relative paths taken from the file's folder, and `~` opened."""
    made = dict(content)
    for table, keys in PATHS_OF.items():
        part = made if not table else made.get(table)
        if not isinstance(part, dict):
            continue
        part = dict(part)
        part.update({key: _from(folder, part[key]) for key in keys if isinstance(part.get(key), str)})
        made = part if not table else made | {table: part}
    if isinstance(made.get("anchors"), list):
        made["anchors"] = [
            str(_from(folder, one)) if isinstance(one, str) and one != "syslog" else one for one in made["anchors"]
        ]
    if "journal" not in made:
        made["journal"] = folder / "journal"
    return made


def _from(folder: Path, text: str) -> Path | str:
    return folder / Path(text).expanduser() if text.strip() else text


def _problems(error: ValidationError) -> str:
    """Every key with what is wrong with it, the first three."""
    found = error.errors(include_url=False)
    told = [f"{place_of(problem['loc']) or 'the file'}: {refused_value(problem)}" for problem in found[:3]]
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(told) + more

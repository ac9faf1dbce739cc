"""The site's DICOM configuration, `rop.dicom/1`: who the cart is, and where archive and worklist are."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from device.checked_file import SumDiffers, read_summed, writable_by_anybody
from runtime.checked_json import NotJson, first_problem, model_from
from runtime.dicom.errors import SiteUnusable

LIMIT_BYTES = 1 << 20
TLS_FILES = ("hospital.pem", "cart-tls.pem", "cart-tls.key")
"""As a new configuration names the hospital's authority, and the cart's certificate with its key."""
ARCHIVE = "archive"
"""The destination of deliveries."""
AeTitle = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$")]
Port = Annotated[int, Field(gt=0, lt=65536)]


def _host(text: str) -> str:
    if not text.strip() or re.search(r"[/@?#]", text):
        raise ValueError("expected a host's name or address alone, without a user, a password or a path")
    return text


Host = Annotated[str, AfterValidator(_host)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86400)]
CHARACTER_SETS = (
    "",
    *(f"ISO_IR {n}" for n in (6, 13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 192, 203)),
    "GB18030",
    "GBK",
)
"""Those that need no code extensions (PS3.3 C.12.1.1.2)."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Part):
    """TLS with a peer; paths are relative to the configuration file."""

    authority: Path
    """PEM file of the authority that signed the peer's certificate."""
    certificate: Path | None = None
    """The cart's own certificate, where the peer asks for one."""
    key: Path | None = None
    check_host: bool = True
    """Whether the peer's certificate must carry its host name."""
    revoked: Path | None = None
    """PEM file of the authority's list of revoked certificates (CRL), where the peer's is to be looked for in it."""


class DicomNode(_Part):
    """A DICOM node that the cart calls."""

    ae_title: AeTitle
    host: Host
    port: Port
    tls: Tls | None = None
    connect_s: Seconds = 10
    """Seconds that connecting may take."""
    answer_s: Seconds = 60
    """Seconds that one answer may take."""


class WorklistNode(DicomNode):
    """The node that knows who is to be examined."""

    character_set: str = ""
    """DICOM's name of the character set of answers that name none, as `ISO_IR 100`. Without it such an answer may hold
    ASCII only: a name that was guessed would be another one."""

    @field_validator("character_set")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in CHARACTER_SETS:
            raise ValueError(f"got {name!r}, expected one of DICOM's names: {', '.join(filter(None, CHARACTER_SETS))}")
        return name


class Archive(DicomNode):
    """The node that keeps the exams."""

    proof: Literal["auto", "commitment", "find"] = "auto"
    """What shows that an exam was kept: storage commitment, a query, or the first where the archive offers it."""
    commitment_s: Seconds = 60
    """Seconds until the archive's report is told as missing; one that comes later counts all the same."""
    commitment_again_s: Seconds = 3600
    """Seconds after which commitment is asked for again where no report came."""
    rejection: Literal["note", "list"] = "note"
    """What is done where something was sent that must not be there: a Key Object Selection that rejects it (IHE IOCM),
    or only a list for the archive's administrator (`python -m runtime.dicom rejected`)."""


class Audit(_Part):
    """The audit repository: who is told what was done with the cart (PS3.15 A.5, by syslog)."""

    host: Host
    port: Port = 6514
    transport: Literal["tls", "udp"] = "tls"
    """`udp` where the network is the hospital's own and trusted: it is neither secret nor sure to arrive."""
    tls: Tls | None = None
    source: str = ""
    """How the site calls this cart; empty: its station, or its AE title."""

    @model_validator(mode="after")
    def _secured(self) -> Audit:
        if (self.transport == "tls") != (self.tls is not None):
            raise ValueError("transport tls needs `tls`, udp has none")
        return self


class CartNode(_Part):
    """What the cart says of itself."""

    ae_title: AeTitle = "ROPCART"
    listen_port: Port | None = None
    """Where archives report commitments; None when they do so on the association that asked."""
    listen_address: str = "127.0.0.1"
    """The cart's address that is listened on; an archive elsewhere needs the one in its network, empty is every one."""
    listen_to: tuple[str, ...] = ()
    """Addresses or networks (`10.1.0.0/16`) that may call beside the archive's own."""
    listen_titles: tuple[AeTitle, ...] = ()
    """AE titles that may call beside the archive's own: some archives report under another one."""
    tls: Tls | None = None
    """For what is listened to; `certificate` and `key` are needed then."""
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    station: str = ""
    institution: str = ""
    page: bool = True
    """Whether the report goes along as one PDF page (Encapsulated PDF): many viewers show no structured report."""
    field_of_view_deg: float | None = Field(default=None, gt=0, le=360)
    pupil_dilated: bool | None = None

    @field_validator("listen_to")
    @classmethod
    def _networks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            try:
                ipaddress.ip_network(name, strict=False)
            except ValueError:
                raise ValueError(f"got {name!r}, expected an address or a network as 10.1.0.0/16") from None
        return names


class DicomConfig(_Part):
    """The whole file."""

    schema_: Literal["rop.dicom/1"] = Field(alias="schema")
    cart: CartNode = CartNode()
    archive: Archive | None = None
    worklist: WorklistNode | None = None
    mpps: DicomNode | None = None
    """Who is told that a scheduled step is in progress, completed or discontinued."""
    audit: Audit | None = None
    folder: Path = Field(default=Path(), exclude=True)
    """Where the file lies; not part of it."""


def load_dicom_config(path: Path) -> DicomConfig:
    """Read the configuration; raises `SiteUnusable`."""
    if (opened := writable_by_anybody(path)) is not None:
        raise SiteUnusable(
            f"{path.name}: every user of this machine may write {opened}, and so say where exams are sent; "
            f"chmod o-w {opened}, and look at what it says"
        )
    try:
        content = read_summed(path, LIMIT_BYTES).decode("utf-8")
    except SumDiffers as error:
        raise SiteUnusable(f"{path.name}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SiteUnusable(f"{path.name}: cannot be read: {error}; name the site's DICOM configuration") from None
    try:
        site = model_from(DicomConfig, content)
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "the file") if isinstance(error, ValidationError) else str(error)
        raise SiteUnusable(f"{path.name}: {problem}; see runtime/dicom/README.md") from None
    return site.model_copy(update={"folder": path.parent})


def new_dicom_config(
    archive: str,
    worklist: str | None = None,
    mpps: str | None = None,
    *,
    listen_port: int | None = None,
    tls: bool = True,
) -> str:
    """A configuration to begin with, from `TITLE@HOST:PORT` of its nodes; raises `SiteUnusable`.

    With TLS every node gets the names of the files that have to be put beside it.
    """
    more = {"tls": dict(zip(("authority", "certificate", "key"), TLS_FILES, strict=True))} if tls else {}
    cart: dict[str, object] = {"ae_title": "ROPCART", "manufacturer": "", "model": "", "serial": "", "station": ""}
    if listen_port is not None:
        cart |= {"listen_port": listen_port, "listen_address": "127.0.0.1", **more}
    nodes = {"archive": archive, "worklist": worklist, "mpps": mpps}
    content = {"schema": "rop.dicom/1", "cart": cart} | {
        name: {**_node(name, text), **more} for name, text in nodes.items() if text
    }
    try:
        DicomConfig.model_validate(content)
    except ValidationError as error:
        raise SiteUnusable(f"{first_problem(error, 'the call')}; see runtime/dicom/README.md") from None
    return json.dumps(content, indent=2) + "\n"


def _node(name: str, text: str) -> dict[str, object]:
    title, _, rest = text.partition("@")
    host, _, port = rest.rpartition(":")
    if not (title and host and re.fullmatch("[0-9]{1,5}", port)):
        raise SiteUnusable(f"--{name}: got {text[:60]!r}, expected TITLE@HOST:PORT, as in ORTHANC@10.0.0.5:4242")
    return {"ae_title": title, "host": host.strip("[]"), "port": int(port)}

"""`ServerAddress`: the engine of another machine as it is named, `triton://HOST:PORT[/MODEL][?ca=FILE]`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from device.secrets import hide_secrets
from runtime.errors import EngineError

SEPARATOR = "://"
FORM = "triton://HOST:PORT, and where they are needed /MODEL and ?tls=system or ?ca=FILE[&cert=FILE&key=FILE]"
_FILES = ("ca", "cert", "key")


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is, and how it is spoken to. Make it with `parse_address`."""

    backend: str
    host: str
    port: int
    model: str = ""
    """Under what name the server has the bundle; empty for the name that the bundle gives itself."""
    tls: bool = False
    ca: Path | None = None
    """Certificates that the server's must lead to, PEM; None with `tls` for the library's own."""
    cert: Path | None = None
    """This cart's own certificate, PEM, for a server that asks for one."""
    key: Path | None = None

    @property
    def target(self) -> str:
        """`HOST:PORT`, an IPv6 address in brackets: as a site's profile names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.backend}{SEPARATOR}{self.target}"


def is_address(engine: str) -> bool:
    """Whether an engine is named by a server's address."""
    return SEPARATOR in engine


def parse_address(text: str) -> ServerAddress:
    """The address that is spelt. Raises `EngineError`, which quotes it without what is secret, for any other text."""
    shown = hide_secrets(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise EngineError(f"engine {shown!r}: {error}; expected {FORM}") from None
    model = parts.path.removeprefix("/")
    if not host or not port or parts.username is not None or parts.fragment or "/" in model:
        raise EngineError(f"engine {shown!r}: expected {FORM}")
    unknown = sorted(options.keys() - {"tls", *_FILES})
    if unknown or options.get("tls", "system") != "system" or "" in options.values():
        raise EngineError(f"engine {shown!r}: {(unknown or ['an option'])[0]} is not understood; expected {FORM}")
    if ("cert" in options) != ("key" in options):
        raise EngineError(f"engine {shown!r}: cert and key go together; expected {FORM}")
    files = {name: Path(options[name]) for name in _FILES if name in options}
    if missing := [path for path in files.values() if not path.is_file()]:
        raise EngineError(f"engine {shown!r}: {missing[0]} is no file; name a file of PEM")
    return ServerAddress(parts.scheme, host, port, model, tls=bool(options), **files)

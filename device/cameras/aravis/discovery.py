"""`discover`: the GigE Vision and USB3 Vision cameras that answer now."""

from __future__ import annotations

from dataclasses import dataclass

from device.cameras.aravis.library import Library, load

GIGE = "GigEVision"
"""How libaravis calls the protocol."""


@dataclass(frozen=True)
class FoundCamera:
    """A camera as it presents itself; texts that it does not give are empty."""

    id: str
    """Opens it: `aravis:ID`."""
    vendor: str
    model: str
    serial: str
    address: str
    """IP address or place on the USB bus."""
    protocol: str
    """`GigEVision`, `USB3Vision` or `GenTL`."""


def discover() -> list[FoundCamera]:
    """Ask every network and USB port, which takes about a second; raises `DriverMissing`."""
    library = load()
    library.call("arv_update_device_list")
    return [_found(library, index) for index in range(library.call("arv_get_n_devices"))]


def _found(library: Library, index: int) -> FoundCamera:
    def told(what: str) -> str:
        return (library.call(f"arv_get_device_{what}", index) or b"").decode("utf-8", "replace")

    return FoundCamera(told("id"), told("vendor"), told("model"), told("serial_nbr"), told("address"), told("protocol"))

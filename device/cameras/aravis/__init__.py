"""GigE Vision and USB3 Vision cameras through libaravis."""

from device.cameras.aravis.camera import AravisCamera
from device.cameras.aravis.config import AravisConfig
from device.cameras.aravis.discovery import FoundCamera, discover

__all__ = ["AravisCamera", "AravisConfig", "FoundCamera", "discover"]

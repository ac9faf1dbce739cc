"""Pictures in files: one, a folder of them, or a folder that is watched as they arrive."""

from device.cameras.files.decode import PICTURE_SUFFIXES, decode
from device.cameras.files.folder import Pictures
from device.cameras.files.watch import WatchedFolder

__all__ = ["PICTURE_SUFFIXES", "Pictures", "WatchedFolder", "decode"]

"""Vessel maps as pictures: `vessels/<frame name>.png`, 8-bit probability, 256 x 256."""

from __future__ import annotations

from pathlib import Path

from device.frame import Frame
from device.outputs import OutputFolder
from runtime.arrays import UInt8Array
from runtime.reading import Reading
from runtime.sinks.background import BackgroundWriter
from runtime.sinks.files import held_folder, naming
from runtime.sinks.names import FrameNames
from runtime.sinks.picture import encode


class VesselSink:
    """Writes the vessel probability x 255 of each frame that has one, as a grey PNG without loss."""

    ENDING = ".png"

    def __init__(self, folder: Path, names: FrameNames) -> None:
        """Write into `folder`; raises `OutputError` when that is not possible."""
        self._folder = held_folder(folder, link_ok=False)
        self._names = names
        self._writer = BackgroundWriter("vessels")

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Queue the frame's vessel map, where there is one."""
        name = self._names.frame_name(reading.frame.source, reading.frame.sequence)
        vessels = reading.vessels
        if vessels is not None:
            self._writer.submit(lambda: _write(self._folder, f"{name}{self.ENDING}", vessels), vessels.nbytes)

    def close(self) -> None:
        """Write what is queued."""
        try:
            self._writer.close()
        finally:
            self._folder.close()


def _write(folder: OutputFolder, name: str, vessels: UInt8Array) -> None:
    with naming(str(folder.path / name)):
        folder.write(name, encode(vessels, VesselSink.ENDING))

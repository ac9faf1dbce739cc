"""Pictures of the classifier's gates: `gates/<frame name>.jpg`, the frame under each of its four, words beneath."""

from __future__ import annotations

from pathlib import Path

from device.frame import Frame
from device.outputs import OutputFolder
from runtime.arrays import UInt8Array
from runtime.explanation import Explanation
from runtime.reading import Reading
from runtime.sinks.background import BackgroundWriter
from runtime.sinks.draw_gates import draw_explanation
from runtime.sinks.files import held_folder, naming
from runtime.sinks.names import FrameNames
from runtime.sinks.picture import encode

JPEG_QUALITY = 88


class GatesSink:
    """Writes a picture for each reading that has an explanation, in a thread of its own."""

    ENDING = ".jpg"

    def __init__(self, folder: Path, names: FrameNames) -> None:
        """Write into `folder`; raises `OutputError` when that is not possible."""
        self._folder = held_folder(folder, link_ok=False)
        self._names = names
        self._writer = BackgroundWriter("gates")

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Queue the picture of this reading, where there is one."""
        name = self._names.frame_name(reading.frame.source, reading.frame.sequence)
        if frame is not None and reading.explanation is not None:
            file, pixels, explanation = f"{name}{self.ENDING}", frame.pixels, reading.explanation
            notice = reading.bundle.notice
            self._writer.submit(lambda: _write(self._folder, file, pixels, explanation, notice), pixels.nbytes)

    def close(self) -> None:
        """Write what is queued."""
        try:
            self._writer.close()
        finally:
            self._folder.close()


def _write(folder: OutputFolder, name: str, pixels: UInt8Array, explanation: Explanation, notice: str) -> None:
    with naming(str(folder.path / name)):
        folder.write(name, encode(draw_explanation(pixels, explanation, notice), GatesSink.ENDING, JPEG_QUALITY))

"""`Mode`: one way in which a camera can give pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """A pixel format with a size and the rates that go with it."""

    pixel_format: str
    """As its driver names it: `MJPG`, `YUYV`, `RGB8`, ..."""
    width: int
    """Pixels across."""
    height: int
    """Pixels down."""
    fps: tuple[float, ...] = ()
    """Frames a second, none when the camera does not tell."""

    def __str__(self) -> str:
        rates = "/".join(f"{rate:g}" for rate in self.fps)
        return f"{self.pixel_format} {self.width}x{self.height}" + (f" {rates} fps" if rates else "")

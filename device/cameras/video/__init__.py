"""Recordings of a camera in video files."""

from device.cameras.video.recording import VIDEO_SUFFIXES, Recording

__all__ = ["VIDEO_SUFFIXES", "Recording"]

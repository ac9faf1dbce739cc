"""Cameras on the network: pictures over HTTP by our own reader, RTSP and all else through PyAV."""

from device.cameras.stream.open import open_stream

__all__ = ["open_stream"]

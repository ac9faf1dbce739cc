"""Writes golden_frames.json: `/usr/bin/python3 make_golden.py`; needs aravis-tools, gir1.2-aravis-0.8 and python3-gi.

The frames of Aravis' simulated camera are read through PyGObject, another way to the library than the driver's, at
another rate and by another interpreter. The pattern repeats: one period is kept, from a fresh camera's first frame on.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from pathlib import Path

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

COUNT = 600
FPS = 100.0


def read_hashes() -> list[str]:
    """SHA-256 of the RGB bytes of the first frames after the camera was started."""
    camera = Aravis.Camera.new("127.0.0.1")
    camera.set_pixel_format_from_string("RGB8")
    camera.set_frame_rate(FPS)
    stream = camera.create_stream(None, None)
    payload = camera.get_payload()
    for _ in range(20):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    camera.start_acquisition()
    hashes, blocks = [], []
    for _ in range(COUNT):
        buffer = stream.timeout_pop_buffer(2_000_000)
        assert buffer.get_status() == Aravis.BufferStatus.SUCCESS, buffer.get_status()
        blocks.append(buffer.get_frame_id())
        hashes.append(hashlib.sha256(buffer.get_data()).hexdigest())
        stream.push_buffer(buffer)
    camera.stop_acquisition()
    wrap = blocks.index(0xFFFF)  # the camera's 16-bit count begins anew within these frames
    after = blocks[wrap + 1]
    assert blocks == [*range(blocks[0], 0x10000), *range(after, after + COUNT - wrap - 1)], "a frame is missing"
    return hashes


def main() -> None:
    """Start the camera, read it, write the file beside this one."""
    program = subprocess.Popen(["arv-fake-gv-camera-0.8", "-i", "127.0.0.1", "-s", "TEST"])
    try:
        time.sleep(0.5)
        hashes = read_hashes()
    finally:
        program.kill()
    period = hashes.index(hashes[0], 1)
    assert all(one == hashes[index % period] for index, one in enumerate(hashes))
    golden = {"camera": "arv-fake-gv-camera-0.8", "pixels": "RGB8 512 x 512", "sha256": hashes[:period]}
    (Path(__file__).parent / "golden_frames.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()

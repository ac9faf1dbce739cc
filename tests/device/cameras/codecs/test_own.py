from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.cameras.codecs.own import marked
from device.cameras.files import decode
from device.errors import FrameUnreadable
from runtime.sinks.picture import encode
from tests.pictures import retina


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_what_we_drew_is_a_picture_for_others_and_no_frame_for_us(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"drawn{ending}"
    file.write_bytes(encode(retina(), ending))
    with Image.open(file) as shown:
        shown.load()
        assert shown.size == (320, 240)
    with pytest.raises(FrameUnreadable, match="drawn by this program"):
        decode(file)


def test_other_data_is_left_as_it_is(tmp_path: Path) -> None:
    assert marked(b"GIF89a") == b"GIF89a"
    file = tmp_path / "frame.png"
    Image.fromarray(retina()).save(file)
    assert np.array_equal(decode(file), retina())

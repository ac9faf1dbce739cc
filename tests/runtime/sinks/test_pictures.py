from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.errors import OutputError
from runtime.outcome import Outcome
from runtime.sinks.base import Sink
from runtime.sinks.names import FrameNames
from runtime.sinks.overlay import OverlaySink
from runtime.sinks.palette import OUTCOME_COLOURS, rgb
from runtime.sinks.picture import shrink
from runtime.sinks.vessels import VesselSink
from tests.pictures import retina, stored_bgr
from tests.runtime.sinks.readings import make_frame, make_reading, vessel_cross


def test_overlays_and_vessel_maps_of_a_run_go_by_the_same_names(tmp_path: Path) -> None:
    names = FrameNames()
    sinks: list[Sink] = [OverlaySink(tmp_path / "overlays", names), VesselSink(tmp_path / "vessels", names)]
    for i, source in enumerate(["a.jpg", "a.png", "b.jpg"]):
        vessels = None if source == "b.jpg" else vessel_cross()
        for sink in sinks:
            sink.write(make_frame(source, i), make_reading(source, i, vessels=vessels))
    for sink in sinks:
        sink.close()
    assert sorted(p.name for p in (tmp_path / "overlays").iterdir()) == ["a.jpg", "a.png.jpg", "b.jpg"]
    assert sorted(p.name for p in (tmp_path / "vessels").iterdir()) == ["a.png", "a.png.png"]
    stored = np.asarray(Image.open(tmp_path / "vessels" / "a.png"))
    assert np.array_equal(stored, vessel_cross())


def test_the_stored_overlay_has_the_outcomes_colour(tmp_path: Path) -> None:
    sink = OverlaySink(tmp_path, FrameNames())
    sink.write(make_frame(), make_reading(outcome=Outcome.REFER))
    sink.write(None, make_reading("b.jpg", 1, Outcome.NO_RESULT, "truncated"))
    sink.close()
    for name, outcome in [("a.jpg", Outcome.REFER), ("b.jpg", Outcome.NO_RESULT)]:
        stored = stored_bgr(tmp_path / name)
        blue, green, red = (int(c) for c in stored[1, 1])
        assert np.abs(np.subtract((red, green, blue), rgb(OUTCOME_COLOURS[outcome]))).max() < 6


def test_a_full_disk_is_told_by_a_later_write_or_by_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = OverlaySink(tmp_path, FrameNames())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    sink.write(make_frame(), make_reading())
    with pytest.raises(OutputError, match=r"a\.jpg: No space left on device"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_the_first_frame(tmp_path: Path) -> None:
    (tmp_path / "overlays").write_text("here first")
    with pytest.raises(OutputError, match="overlays"):
        OverlaySink(tmp_path / "overlays", FrameNames())


@pytest.mark.parametrize(("width", "height"), [(640, 480), (2040, 2040), (3000, 10), (10, 3000), (1, 1)])
def test_a_shrunk_picture_has_the_wanted_size_and_the_same_mean(width: int, height: int) -> None:
    pixels = retina(0, width, height) if min(width, height) > 64 else np.full((height, width, 3), 90, np.uint8)
    small = shrink(pixels, 160)
    scale = min(1, 160 / max(width, height))
    assert small.shape == (max(1, round(height * scale)), max(1, round(width * scale)), 3)
    assert np.abs(small.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 2

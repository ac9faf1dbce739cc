"""The text form of settings: whatever is written, either typed settings or one plain refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.cameras.aravis.config import AravisConfig
from device.cameras.gstreamer.config import parse_gstreamer
from device.cameras.opencv import StreamConfig, V4L2Config
from device.errors import SettingRefused

PARSERS = {
    "camera:": V4L2Config.parse,
    "rtsp://": StreamConfig.parse,
    "aravis:": AravisConfig.parse,
    "gstreamer:": parse_gstreamer,
}


@pytest.mark.parametrize("head", PARSERS)
@given(
    tail=st.one_of(st.text(max_size=40), st.from_regex(r"[a-z0-9/]{0,8}(,(width|fps|gain|sensor)=[0-9.e-]{0,6}){0,3}"))
)
def test_any_text_is_settings_or_refused_in_one_line(head: str, tail: str) -> None:
    refusal = ""
    try:
        PARSERS[head](head + tail)
    except SettingRefused as error:
        refusal = str(error)
    assert not refusal or "expected " in refusal


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "0", "1e9", "x", ""])
def test_a_rate_that_cannot_be_is_refused(number: str) -> None:
    with pytest.raises(SettingRefused, match="fps: got"):
        V4L2Config.parse(f"camera:0,fps={number}")


def test_settings_are_frozen_and_described() -> None:
    config = AravisConfig.parse("aravis:42,fps=20,exposure_us=1500,packet_size=8000")
    assert (config.camera, config.fps, config.exposure_us, config.packet_size) == ("42", 20.0, 1500.0, 8000)
    with pytest.raises(ValueError, match="frozen"):
        config.fps = 30.0
    for kind in (AravisConfig, V4L2Config, StreamConfig):
        assert all(setting.description for setting in kind.model_fields.values()), "a docstring under every field"

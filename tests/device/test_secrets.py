"""No password is left in a text, wherever in an address it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.cameras.opencv.config import StreamConfig
from device.errors import SettingRefused
from device.live import shown_source
from device.secrets import hide_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:p#ss@host/eye", "rtsp://***@host/eye"),
        ("rtsp://admin:p/ss@host/eye", "rtsp://***@host/eye"),
        ("rtsp://admin:p?ss@host/eye", "rtsp://***@host/eye"),
        ("rtsp://admin:p@ss@host:554/eye", "rtsp://***@host:554/eye"),
        ("http://host/cgi?user=admin&pwd=secret#read_timeout_s=1", "http://host/cgi?user=***&pwd=***#read_timeout_s=1"),
        ("http://host/eye.mjpg", "http://host/eye.mjpg"),
        ("see rtsp://a:b@h/x and http://h/y?k=v now", "see rtsp://***@h/x and http://h/y?k=*** now"),
        ("/a/folder", "/a/folder"),
        ("sim:device=neo", "sim:device=neo"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown
    assert shown_source(text) == shown


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20))
def test_no_password_is_left(password: str) -> None:
    secret = f"Sesame{password}"
    assert "Sesame" not in hide_secrets(f"rtsp://admin:{secret}@host/eye")
    if not set(password) & set("&;#'\"@"):
        assert "Sesame" not in hide_secrets(f"http://host/eye?pwd={secret}")


@pytest.mark.parametrize("url", ["rtsp://admin:Ses#ame@host/eye", "rtsp://admin:Ses/ame@host/eye#transport=udp"])
def test_an_address_whose_password_has_signs_of_its_own_is_understood(url: str) -> None:
    config = StreamConfig.parse(url)
    assert "ame@" in config.url
    assert "ame" not in config.shown.replace("***", "")


def test_a_refused_setting_shows_no_password() -> None:
    with pytest.raises(SettingRefused) as refused:
        StreamConfig.parse("rtsp://admin:Sesame@host/eye#nonsense=1")
    assert "Sesame" not in str(refused.value)


def test_the_command_line_that_all_may_read_shows_no_password() -> None:
    program = "from device.secrets import hide_own_arguments as h; h(); print(open('/proc/self/cmdline').read())"
    arguments = ["rtsp://admin:p#Sesame@host/eye?k=Open", "--out", "rtsp-out"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert "Sesame" not in done.stdout
    assert "Open" not in done.stdout
    assert "rtsp://****" in done.stdout
    assert "rtsp-out" in done.stdout

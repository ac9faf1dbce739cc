"""No password is left in a text, wherever in an address it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.cameras.opencv.config import StreamConfig
from device.cameras.stream import open_stream
from device.errors import SettingRefused, SourceNotFound
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
        ("http://host/cgi?pwd=ab#cd", "http://host/cgi?pwd=***#***"),
        ("http://host/cgi?pwd=ab#cd=ef,g", "http://host/cgi?pwd=***#***"),
        ("http://host/cgi?to=/a/b;pwd=/c", "http://host/cgi?to=***;pwd=***"),
        ("rtsp://host/user=admin_password=secret_channel=1", "rtsp://host/user=***=***=***"),
        ("rtsp://host/user=admin&password=secret/0.sdp", "rtsp://host/user=***&password=***/0.sdp"),
        ("rtsp://admin:12/4@host/eye", "rtsp://***@host/eye"),
        ("http://host/x?mail=a@b/eye", "http://***@b/eye"),
        ("lost 'http://a:b@h/x#read_timeout_s=1': gone", "lost 'http://***@h/x#read_timeout_s=1': gone"),
        ("http://host/eye.mjpg", "http://host/eye.mjpg"),
        ("see rtsp://a:b@h/x and http://h/y?k=v now", "see rtsp://***@h/x and http://h/y?k=*** now"),
        ("no file: https:/a:b@h/x", "no file: https:/***@h/x"),
        (
            "gstreamer:rtspsrc location=rtsp://h/s user-id=admin ! appsink",
            "gstreamer:rtspsrc location=rtsp://h/s user-id=*** ! appsink",
        ),
        ('src location="rtsp://a:b c@h/x" latency=0', 'src location="rtsp://***@h/x" latency=0'),
        ("srtsrc uri=srt://h:9 passphrase=(string)a", "srtsrc uri=srt://h:9 passphrase=(string)***"),
        (
            'souphttpsrc extra-headers="a,b=\\"c d\\"" cookies = \'e f\' user-agent=g',
            "souphttpsrc extra-headers=*** cookies = *** user-agent=g",
        ),
        ("name=a keyframes=3 key-int-max=3 passes=2 author=x", "name=a keyframes=3 key-int-max=3 passes=2 author=x"),
        ("//admin:secret@host/eye", "//admin:***@host/eye"),
        ("'admin:p@s:s@host/eye': no such file", "'admin:***@host/eye': no such file"),
        ("rtsp:admin:secret@host", "rtsp:***@host"),
        ("got 'rtsp:admin:secret://@host', expected", "got 'rtsp:***@host', expected"),
        ("gstreamer:src location=admin:secret@host ! appsink", "gstreamer:src location=admin:***@host ! appsink"),
        ("http://host/eye#password=secret", "http://host/eye#password=***"),
        ("rtsp://host/eye#transport=udp,user-pw=sec,ret now", "rtsp://host/eye#transport=udp,user-pw=*** now"),
        ("camera:0,width=640,password=secret", "camera:0,width=640,password=***"),
        ("http://host/cgi?admin:secret&x=1", "http://host/cgi?***&x=***"),
        ("rtsp://admin:my secret@host/eye", "rtsp://***@host/eye"),
        ("rtsp://admin:my p@ss word@host:554/eye", "rtsp://***@host:554/eye"),
        ("rtsp%3A%2F%2Fadmin%3Asecret%40host%2Feye", "rtsp://***@host/eye"),
        ("no such file 'rtsp://admin%3asecret%40host/eye'", "no such file 'rtsp://***@host/eye'"),
        ("rtsp://admin:secret%2540host/eye", "rtsp://***@host/eye"),
        ("rtsp://host/%75ser%3Dadmin%26password%3Dsecret", "rtsp://host/user=***&password=***"),
        ("rtsp ://admin:secret@host/eye", "rtsp ://admin:***@host/eye"),
        ("http://host/cgi?pwd='secret' now", "http://host/cgi?pwd=***' now"),
        ("lost 'http://host/cgi?pwd=se'cret': gone", "lost 'http://host/cgi?pwd=***': gone"),
        (
            'souphttpsrc extra-headers="x,Authorization=(string)\\"Basic secret\\"" ! a',
            "souphttpsrc extra-headers=*** ! a",
        ),
        ("camera:0,pin=1234", "camera:0,pin=***"),
        ("http://host/a%20b/eye%25.jpg", "http://host/a%20b/eye%25.jpg"),
        ("rtsp://host:554/eye: nothing answers", "rtsp://host:554/eye: nothing answers"),
        ("sim:device=neo,seed=3,keyframes=2", "sim:device=neo,seed=3,keyframes=2"),
        ("visit-12:30.mp4 of a@b", "visit-12:30.mp4 of a@b"),
        ("/a/folder", "/a/folder"),
        ("sim:device=neo", "sim:device=neo"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert hide_secrets(text) == shown
    assert shown_source(text) == shown


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=20).filter(lambda t: "\\" not in t)
)
def test_no_password_of_a_pipeline_is_left(password: str) -> None:
    for name in ("user-pw", "proxy-pw", "passphrase", "src::password", "secret-access-key"):
        plain = "Sesame" + password
        assert "Sesame" not in hide_secrets(f"gstreamer:src {name}={plain} ! appsink")
        quoted = password.replace('"', '\\"')
        shown = hide_secrets(f'gstreamer:src {name} = "a {quoted} Sesame" port=7 ! appsink')
        assert "Sesame" not in shown
        assert shown.endswith("port=7 ! appsink")


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20))
def test_no_password_is_left(password: str) -> None:
    secret = f"Sesame{password}"
    assert "Sesame" not in hide_secrets(f"rtsp://admin:{secret}@host/eye")
    assert "Sesame" not in hide_secrets(f"http://host/{secret}@b/eye")
    if not set(password) & set("&;'\"="):
        shown = hide_secrets(f"http://host/eye?pwd={secret}")
        assert "Sesame" not in shown
        assert len(password) < 4 or password not in shown


@pytest.mark.parametrize("url", ["rtsp://admin:Ses#ame@host/eye", "rtsp://admin:Ses/ame@host/eye#transport=udp"])
def test_an_address_whose_password_has_signs_of_its_own_is_understood(url: str) -> None:
    config = StreamConfig.parse(url)
    assert "ame@" in config.url
    assert "ame" not in config.shown.replace("***", "")


@pytest.mark.parametrize(
    "password", ["p#ss", "p/ss", "p?ss", "p@ss", "1/2", "a:b", "100%", "p%23ss", "\u00fc \u4e2d", "[::1]"]
)
@pytest.mark.parametrize("rest", ["host:554/eye", "[fe80::1]/eye?k=v", "host"])
def test_a_password_of_any_signs_comes_to_the_camera(password: str, rest: str) -> None:
    config = StreamConfig.parse(f"RTSP://admin:{password}@{rest}#transport=udp")
    parts = urlsplit(config.url)
    assert parts.hostname in ("host", "fe80::1")
    assert unquote(parts.password or "") == unquote(password)
    assert parts.username == "admin"
    assert config.transport == "udp"


@pytest.mark.parametrize(
    "spec", ["http://host/x?pwd=Ses#ame", "http://host/x?pwd=Ses#ame=1", "http://host/x?pwd=a#Ses,ame"]
)
def test_a_part_of_a_password_is_no_setting_and_not_shown(spec: str) -> None:
    with pytest.raises(
        SettingRefused, match=r"unknown setting; .* a # of the address itself is written %23"
    ) as refused:
        StreamConfig.parse(spec)
    assert not {"Ses", "ame"} & set(re.findall(r"[A-Z]?[a-z]+", str(refused.value)))


@pytest.mark.parametrize("before", ["?x", "?x=1", "?x&y", ""])
def test_an_unknown_setting_behind_a_query_is_shown_as_the_address_is(before: str) -> None:
    """It was hidden in the address and shown beside it."""
    with pytest.raises(SettingRefused, match="unknown setting") as refused:
        StreamConfig.parse(f"http://host/snap{before}#y=Sesame")
    assert ("#***" in str(refused.value)) == ("Sesame" not in str(refused.value))


@pytest.mark.parametrize("spec", ["http://", "rtsp:///eye", "http://a:b@", "http://@/"])
def test_an_address_without_a_host_is_refused_in_words(spec: str) -> None:
    with pytest.raises((SettingRefused, SourceNotFound), match=r"no host in it|no address that can be used"):
        open_stream(StreamConfig.parse(spec))


def test_a_refused_setting_shows_no_password() -> None:
    with pytest.raises(SettingRefused) as refused:
        StreamConfig.parse("rtsp://admin:Sesame@host/eye#nonsense=1")
    assert "Sesame" not in str(refused.value)


def test_the_command_line_that_all_may_read_shows_no_password() -> None:
    program = "from device.secrets import hide_own_arguments as h; h(); print(open('/proc/self/cmdline').read())"
    arguments = [
        "rtsp://admin:p#Sesame@host/eye?k=Open",
        "--still=http://h/x?k=Open",
        "rtsp%3A%2F%2Fa%3ASesame%40h",
        "--out",
        "rtsp-out",
    ]
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

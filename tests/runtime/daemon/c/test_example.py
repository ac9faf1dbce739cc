"""The C example and the C++ wrapper at work."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import cv2
import pytest

from runtime.daemon.client import Client
from runtime.outcome import ONE_PICTURE
from tests.pictures import retina
from tests.runtime.daemon.c.building import SOURCES, WARNINGS, C, build, tool
from tests.runtime.daemon.c.daemons import Daemons

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("example") / "ropscreen-example"
    return build("gcc", output, "-g", "-O1", "-fsanitize=address,undefined", C / "ropscreen_example.c", *SOURCES)


def called(example: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([example, *arguments], capture_output=True, text=True, timeout=300)


def test_prints_the_reading_as_one_line_of_json(example: Path, lasting_daemon: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.ppm"
    assert cv2.imwrite(str(picture), cv2.cvtColor(retina(), cv2.COLOR_RGB2BGR))
    done = called(example, lasting_daemon, picture)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    reading = json.loads(done.stdout)
    with Client(lasting_daemon, slots=1, slot_bytes=retina().nbytes, max_age_ms=60_000) as client:
        expected, bundle = client.read(retina()), client.bundle()
    assert reading["outcome"] == expected.outcome.name == "NO_REFERRAL_FINDINGS"
    assert reading["text"] == ONE_PICTURE
    assert reading["probabilities"] == pytest.approx({"no_ridge": 0.9, "ridge": 0.1}, abs=1e-5)
    assert reading["frame"] == {
        "sequence": 0,
        "width": 320,
        "height": 240,
        "sha256": hashlib.sha256(retina().tobytes()).hexdigest(),
    }
    assert reading["bundle"]["sha256"] == bundle.sha256.hex()
    assert reading["bundle"]["notice"] == bundle.notice
    assert reading["engine"]["backend"] == "fake"
    assert reading["gradable"] is True
    assert reading["late"] is False


def test_reads_headers_with_comments(example: Path, lasting_daemon: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.ppm"
    picture.write_bytes(b"P6\n# made by a camera\n#\n320 240 # size\n255\n" + retina().tobytes())
    done = called(example, lasting_daemon, picture)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "NO_REFERRAL_FINDINGS"


WRONG = {
    "empty": b"",
    "ascii": b"P3\n1 1\n255\n1 1 1\n",
    "16_bit": b"P6\n8 8\n65535\n" + bytes(384),
    "no_pixels": b"P6\n0 8\n255\n",
    "too_wide": b"P6\n99999999999999999999 1\n255\n",
    "negative": b"P6\n-8 8\n255\n" + bytes(192),
    "open_comment": b"P6\n# and nothing more",
}


@pytest.mark.parametrize("content", WRONG)
def test_a_picture_that_cannot_be_read_is_a_wrong_call(example: Path, content: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.ppm"
    picture.write_bytes(WRONG[content])
    done = called(example, tmp_path / "s", picture)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a binary PPM" in done.stderr


def test_other_wrong_calls_and_no_daemon(example: Path, daemons: Daemons, tmp_path: Path) -> None:
    picture = tmp_path / "picture.ppm"
    picture.write_bytes(b"P6 320 240 255\n" + retina().tobytes())
    assert called(example, picture).returncode == 2
    missing = called(example, daemons.path, tmp_path / "none.ppm")
    assert missing.returncode == 2
    assert "none.ppm: No such file or directory" in missing.stderr
    nobody = called(example, daemons.path, picture)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "no daemon at this socket" in nobody.stderr
    daemons.start(delay_ms=-1)
    not_ready = called(example, daemons.path, picture)
    assert (not_ready.returncode, not_ready.stdout) == (1, "")
    assert "not loaded" in not_ready.stderr
    picture.write_bytes(b"P6 320 240 255\n" + bytes(10))
    short = called(example, daemons.path, picture)
    assert (short.returncode, short.stdout) == (2, "")
    assert "fewer pixels" in short.stderr


def test_the_cpp_wrapper_keeps_its_word(lasting_daemon: Path, tmp_path: Path) -> None:
    objects = [build("gcc", tmp_path / f"{source.stem}.o", "-g", "-c", source) for source in SOURCES]
    program, source = tmp_path / "wrapper", Path(__file__).with_name("wrapper.cpp")
    line = [tool("g++"), "-std=c++17", *WARNINGS, "-g", f"-I{C}", source, *objects, "-o", program]
    built = subprocess.run([*map(str, line)], capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    picture = tmp_path / "picture.raw"
    picture.write_bytes(retina().tobytes())
    done = subprocess.run([program, lasting_daemon, picture, "320", "240"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ONE_PICTURE

"""`sim:lit`: a source like any other; light and flashes of a board, also of another process, are in its frames."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device import open_camera
from device.errors import BoardRefused, PortUnusable, SourceNotFound
from device.lamp import FlashSeen, Lamp, read_lamp, usual_lamp, write_lamp
from device.light import BoardLink, SimulatedBoard
from tests.busy import at_a_calm_moment

pytestmark = pytest.mark.usefixtures("patient")

SOURCE = "sim:lit,lamp={},fps=30,size=64x48"


def brightness(source: str, wanted: str, light: float = 0.0) -> float:
    """Of the next frame that is `dark`, `brighter` than that, or as bright as `light` at least."""
    with open_camera(source) as camera:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            frame = camera.read()
            assert frame is not None
            mean = float(frame.pixels.mean())
            if (mean < 12 if wanted == "dark" else mean > 12) and mean >= light:
                return mean
    raise AssertionError(f"no {wanted} frame")


def test_led_and_flash_are_seen_in_the_picture(tmp_path: Path) -> None:
    lamp = tmp_path / "lamp"
    source = SOURCE.format(lamp)
    with SimulatedBoard(lamp=lamp) as board, BoardLink(board.port) as link:
        assert lamp.stat().st_mode & 0o777 == 0o600
        assert brightness(source, "dark") < 12
        link.set_led(200)
        lit = brightness(source, "brighter")
        link.stop()
        assert brightness(source, "dark") < lit / 4

        def flash_is_seen() -> None:
            with open_camera(source) as camera:
                camera.read()
                link.arm(20_000, 100)
                link.fire()
                means = [float(frame.pixels.mean()) for _ in range(8) if (frame := camera.read()) is not None]
            assert max(means) > 2 * min(means)  # a third of it at least, whatever the phase
            assert min(means) < lit / 4

        at_a_calm_moment(flash_is_seen, failures=(AssertionError, BoardRefused))


def test_the_light_of_another_process_is_seen(tmp_path: Path) -> None:
    lamp = tmp_path / "lamp"
    call = [sys.executable, "-m", "device", "light", "--simulate", "--lamp", str(lamp)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            with BoardLink(process.stdout.readline().strip()) as link:
                link.set_led(200)
                assert brightness(SOURCE.format(lamp), "brighter") > 12
        finally:
            process.terminate()


def test_a_lamp_is_what_was_written_or_dark(tmp_path: Path) -> None:
    path, lit = tmp_path / "lamp", Lamp(7, tuple(FlashSeen(n, 20, 3) for n in range(9)))
    write_lamp(path, lit)
    assert read_lamp(path) == Lamp(7, lit.flashes[-4:])
    content = path.read_bytes()
    for at in range(0, len(content.rstrip()), 7):
        path.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        assert read_lamp(path) == Lamp()
    os.remove(path)
    assert read_lamp(path) == Lamp()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PortUnusable, match="the light cannot be told there"):
        SimulatedBoard(lamp=path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("wrong", ["sim:lit,lamp=", "sim:lit,lamp=a,lamp=b", "sim:lit,fps=x", "sim:lit,nothing=1"])
def test_a_wrong_text_is_refused_in_words(wrong: str) -> None:
    with pytest.raises(SourceNotFound):
        open_camera(wrong)


def test_without_a_file_both_use_the_users_own() -> None:
    with open_camera("sim:lit,size=64x48") as camera:
        assert camera.read() is not None
    assert str(os.getuid()) in usual_lamp().name

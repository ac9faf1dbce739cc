"""One table of schemes: each has a driver and says whether it is live; what is no scheme is refused in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import open_camera
from device.cameras.open import DRIVERS
from device.errors import SourceNotFound
from device.live import keeps_its_own_time, open_source
from device.schemes import SCHEMES, is_simulated, scheme_of

UNKNOWN = ("magic:1", "usb:3", "ftp://nurse:secret@cart/eye", "simulated:fps=30", "rtmp://cart/eye")


def test_every_scheme_has_its_driver() -> None:
    assert set(DRIVERS) == set(SCHEMES)


@pytest.mark.parametrize("name", SCHEMES)
def test_what_is_known_of_a_scheme_is_known_in_any_case_of_letters(name: str) -> None:
    for spelt in (name, name.upper(), name.title()):
        assert scheme_of(f"{spelt}:x") is SCHEMES[name]
        assert is_simulated(f"{spelt}:x") == (name == "sim")


def test_a_simulation_is_opened_in_any_case_of_letters() -> None:
    with open_source("SIM:size=64x48,fps=200") as camera:
        assert camera.read() is not None
    assert keeps_its_own_time("SIM:fps=3")


@pytest.mark.parametrize("spec", UNKNOWN)
@pytest.mark.parametrize("ask", [scheme_of, is_simulated, keeps_its_own_time, open_camera, open_source])
def test_a_scheme_that_nobody_knows_is_refused_and_not_taken_for_live(ask: Callable[[str], object], spec: str) -> None:
    with pytest.raises(SourceNotFound, match=r"no source is called \w+:; expected a picture") as caught:
        ask(spec)
    assert "secret" not in str(caught.value)


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9+.-]+:[ -~]*", fullmatch=True))
def test_no_scheme_but_those_of_the_table_is_live(spec: str) -> None:
    if spec.partition(":")[0].lower() not in SCHEMES:
        with pytest.raises(SourceNotFound):
            keeps_its_own_time(spec)


@pytest.mark.parametrize(
    "command",
    [
        ["runtime.screen", "magic:1", "--out", "{out}"],
        ["runtime.bench", "--source", "magic:1"],
        ["runtime.daemon", "measure", "--source", "magic:1"],
        ["calibration", "create", "magic:1", "--out", "{out}"],
        ["device", "probe", "magic:1"],
        ["device", "grab", "magic:1", "--out", "{out}"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_refuses_it_in_one_line(command: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    call = [sys.executable, "-m", *(part.format(out=out) for part in command)]
    found = subprocess.run(call, capture_output=True, text=True, check=False)
    assert found.returncode == 2, found.stderr
    assert "'magic:1': no source is called magic:" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not out.exists()

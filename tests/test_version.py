"""One place says the version, and each command repeats it."""

from __future__ import annotations

import configparser
from importlib import metadata
from pathlib import Path

import pytest

from device.version import software_version
from tests.fresh import FreshStarts

ROOT = Path(__file__).parents[1]
COMMANDS = (
    *("runtime.screen", "runtime.bench", "runtime.exam", "runtime.dicom", "runtime.daemon", "runtime.cart"),
    *("device", "calibration", "build_engines", "build_engines.train"),
)


def test_what_is_installed_is_what_setup_cfg_says() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert software_version() == config["metadata"]["version"], "install it again: make test"
    assert metadata.version("rop-screening-runtime") == software_version()


def test_it_is_no_option_of_a_call() -> None:
    from runtime.bench.arguments import parse as parse_bench
    from runtime.screen.arguments import parse as parse_screen

    assert parse_screen(["sim:"]).source == "sim:"
    assert parse_bench(["--frames", "8"]) != parse_bench(["--frames", "9"])


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_its_version(fresh: FreshStarts, command: str) -> None:
    ran = fresh.run([command, "--version"], ROOT)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"rop-screening-runtime {software_version()}\n"

"""The cart's units as systemd judges them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.cart.units import CartUnitOptions, units

OPTIONS = CartUnitOptions(
    Path("/usr/bin/python3"), Path("/etc/a b/cart.toml"), Path("/var/lib/rop"), "http://127.0.0.1:8420/", audit=True
)
UNITS = units(OPTIONS)
SERVICES = [name for name in UNITS if name.endswith(".service")]
TENTHS = {"rop-kiosk.service": 22}
"""Exposure, by systemd's scale; else 20. Chromium makes namespaces of its own; it holds no key and sees no journal."""


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_leaves_a_core_or_files_that_others_read(name: str) -> None:
    assert "\nLimitCORE=0\n" in UNITS[name]
    assert "\nUMask=0077\n" in UNITS[name]
    assert "\nNoNewPrivileges=yes\n" in UNITS[name]
    assert "\nUser=root" not in UNITS[name]
    assert "\nUser=" in UNITS[name]


@pytest.mark.parametrize(
    ("slots", "lines"),
    [
        (None, ["StateDirectory=rop-screening", "ReadWritePaths=/var/lib/rop"]),
        (
            Path("/srv/a b/slots"),
            ['Environment="ROP_BUNDLES=/srv/a b/slots"', 'ReadWritePaths=/var/lib/rop "-/srv/a b/slots"'],
        ),
    ],
)
def test_the_cart_may_write_its_slots_and_the_sites_state(slots: Path | None, lines: list[str]) -> None:
    options = CartUnitOptions(
        Path("/usr/bin/python3"), Path("/etc/cart.toml"), Path("/var/lib/rop"), "http://h/", slots
    )
    assert set(lines) <= set(units(options)["rop-cart.service"].splitlines())


def test_the_cart_is_told_of_the_anchor_of_its_sites_numbers_and_may_append_to_it() -> None:
    anchor = Path("/var/log/rop/issues")
    options = replace(OPTIONS, site_anchor=anchor)
    lines = units(options)["rop-cart.service"].splitlines()
    assert {f"Environment=ROP_SITE_ANCHOR={anchor}", f"ReadWritePaths=/var/lib/rop {anchor}"} <= set(lines)


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", SERVICES)
def test_systemd_calls_none_exposed_by_much_more_than_two_of_ten(name: str, tmp_path: Path) -> None:
    for unit, text in UNITS.items():
        (tmp_path / unit).write_text(text)
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={TENTHS.get(name, 20)}", str(tmp_path / name)],
        capture_output=True,
        text=True,
    )
    assert judged.returncode == 0, judged.stdout[-200:] + judged.stderr

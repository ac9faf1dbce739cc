"""Without an extra: `--help` works, and what is missing is one line with its `pip` name, before anything is written."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from device.extras import EXTRAS, how_to_install
from tests.fresh import FreshStarts

ROOT = Path(__file__).parents[1]
ALL = sorted({module for modules in EXTRAS.values() for module in modules})
MODULES = {
    "pyserial": "serial",
    "fpdf2": "fpdf",
    "nvidia-modelopt": "modelopt",
    "markdown-it-py": "markdown_it",
    "python-gdcm": "gdcm",
    "grpcio": "grpc",
}
"""The modules of packages whose names differ."""
HELPS = (
    *("runtime.screen", "runtime.bench", "runtime.bench compare", "runtime.exam", "runtime.exam demo", "runtime.dicom"),
    *("runtime.dicom worklist", "runtime.daemon", "runtime.daemon measure", "device light", "device grab"),
    *("calibration", "calibration create", "calibration inspect", "calibration compare"),
    *(
        "build_engines",
        "build_engines describe",
        "build_engines evaluate",
        "build_engines report",
        "build_engines sensitivity",
        "build_engines sign",
        "build_engines trust",
    ),
    *("build_engines --target tensorrt", "build_engines.train", "build_engines.peer", "build_engines familiar"),
    *("build_engines ir", "build_engines triton", "build_engines vectors"),
    *(
        "runtime.bundles",
        "runtime.cart",
        "runtime.cart demo",
        "runtime.cart terminal",
        "runtime.fleet",
        "runtime.reread",
    ),
)


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_table_is_what_setup_cfg_installs(extra: str) -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options.extras_require"][extra].split("\n")
    names = [re.split(r"[\[<>=;]", line)[0].strip() for line in lines if line.strip()]
    assert sorted(MODULES.get(name, name) for name in names) == sorted(EXTRAS[extra])


@pytest.mark.parametrize("line", HELPS)
def test_help_needs_no_extra(fresh: FreshStarts, tmp_path: Path, line: str) -> None:
    ran = fresh.run([*line.split(), "--help"], tmp_path, absent=ALL)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("usage: ")


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("runtime.exam key cart.key", "exam"),
        ("runtime.exam demo", "exam"),
        ("runtime.exam demo --journal journal", "exam"),
        ("runtime.dicom worklist --dicom-config site.json", "dicom"),
        ("runtime.dicom send --journal journal --dicom-config site.json", "dicom"),
        ("device light status /dev/ttyACM0", "light"),
        ("build_engines trained.pth --out bundle", "build"),
        ("build_engines sensitivity bundle --calibration set", "build"),
        ("build_engines evaluate bundle --data table.csv --out results", "evaluate"),
        ("build_engines report bundle", "plans"),
        ("build_engines bundle --target tensorrt", "plans"),
        ("build_engines.train --data data", "build"),
        ("build_engines.peer trained.pth", "build"),
        ("build_engines sign --key key.pem bundle", "exam"),
    ],
)
def test_a_missing_extra_is_one_line_and_nothing_is_written(
    fresh: FreshStarts, tmp_path: Path, line: str, extra: str
) -> None:
    ran = fresh.run(line.split(), tmp_path, absent=ALL)
    assert ran.code == 2, ran.out + ran.err
    assert ran.err.strip().count("\n") == 0
    assert how_to_install(extra) in ran.err
    assert list(tmp_path.iterdir()) == []


def test_how_to_install_names_the_clone_and_the_package_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert how_to_install("video") == f"install it: pip install -e '{Path(__file__).parents[1]}[video]'"
    monkeypatch.setattr("device.extras._TREE", tmp_path)
    assert how_to_install("video") == "install it: pip install 'rop-screening-runtime[video]'"

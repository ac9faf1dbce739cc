"""The report as table, picture and files, and in the model card."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from build_engines.card import model_card
from build_engines.report.picture import draw_report, shown, title_of
from build_engines.report.schema import ParityReport
from build_engines.report.store import write_report
from build_engines.report.table import print_parity
from runtime import open_bundle
from tests.build_engines.report.figures import report


def test_precisions_and_the_mixed_choice_are_shown() -> None:
    assert [title_of(found) for found in shown(report())] == ["fp32", "fp16", "int8 + fp32", "int8"]
    assert [title_of(found) for found in shown(report(("fp32", "fp32")))] == ["fp32", "fp16", "int8"]


def test_the_table_says_what_counts() -> None:
    out = io.StringIO()
    print_parity(report(), out)
    for words in ("avx2", "int8 + fp32", "2.00", "all held out", "every frame", "default: segmentation int8"):
        assert words in out.getvalue()
    assert "not taken: classifier int8: 0.90 x fp32" in out.getvalue()


def test_picture_and_json_are_written(tmp_path: Path) -> None:
    write_report(report(), tmp_path)
    assert ParityReport.model_validate_json((tmp_path / "parity.json").read_bytes()) == report()
    pixels = np.asarray(Image.open(tmp_path / "parity.png").convert("RGB"))
    assert pixels.shape == draw_report(report()).shape
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 8
    assert (tmp_path / "parity.png").stat().st_size < 200_000


def test_every_class_of_cpu_is_shown_in_table_and_card() -> None:
    held = report(("int8", "fp32"), "avx2", "AVX2")
    both = report(("int8", "int8"), "amx").model_copy(update={"others": (held,)})
    out = io.StringIO()
    print_parity(both, out)
    card = model_card(open_bundle().manifest, both)
    assert "default on a CPU of class amx: segmentation int8, classifier int8" in out.getvalue()
    assert "Default on a CPU of class amx (measured on A processor): segmentation int8, classifier int8" in card
    assert "A processor with OpenVINO held to AVX2" in out.getvalue()
    assert "class avx2 (measured on A processor with OpenVINO held to AVX2): segmentation int8, classifier fp32" in card

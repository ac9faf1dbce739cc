"""The parity report as files: written beside the graphs, and read from a bundle."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from pydantic import ValidationError

from build_engines.errors import BuildError
from build_engines.report.picture import draw_report
from build_engines.report.schema import REPORT_FILE, REPORT_PICTURE, ParityReport
from device.outputs import PUBLIC, write_whole
from runtime.bundle import Bundle
from runtime.checked_json import first_problem


def write_report(report: ParityReport, folder: Path) -> None:
    """Write `parity.json` and `parity.png`."""
    picture = io.BytesIO()
    Image.fromarray(draw_report(report)).quantize(64).save(picture, "PNG", optimize=True)
    write_whole(folder / REPORT_FILE, (report.model_dump_json(by_alias=True, indent=1) + "\n").encode(), PUBLIC)
    write_whole(folder / REPORT_PICTURE, picture.getvalue(), PUBLIC)


def read_report(bundle: Bundle) -> ParityReport:
    """The report that a bundle's build wrote. Raises `BuildError` when there is none."""
    name = bundle.manifest.parity_report
    if name is None:
        raise BuildError(
            f"bundle {bundle.path}: holds no parity report (only fp32 was built); measure one: "
            f"python -m build_engines report {bundle.path} --measure"
        )
    try:
        return ParityReport.model_validate_json(bundle.read(name))
    except ValidationError as error:
        problem = first_problem(error, "report")
        raise BuildError(f"bundle {bundle.path}: {name}: {problem}; build the bundle again") from None

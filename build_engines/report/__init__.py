"""The parity report: every precision of a bundle against its fp32, and the default that follows from it."""

from build_engines.report.choose import choose
from build_engines.report.frames import ReportFrame, report_frames
from build_engines.report.measure import measure
from build_engines.report.schema import REPORT_FILE, REPORT_PICTURE, ParityReport

__all__ = ["REPORT_FILE", "REPORT_PICTURE", "ParityReport", "ReportFrame", "choose", "measure", "report_frames"]

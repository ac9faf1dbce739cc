"""Names, dates and ages as a person at the screen reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runtime.exam.infant import Infant
from runtime.exam.journal import ExamSummary

MOMENTS = ("opened_at", "closed_at", "captured_at", "at")


def in_exam_time(content: Any, summary: ExamSummary) -> Any:
    """JSON of an exam with its moments as the clock on the ward's wall told them.

    A page shows them so, whatever clock and zone its browser has.
    """
    if isinstance(content, Mapping):
        return {
            name: summary.local(datetime.fromisoformat(value)).isoformat()
            if name in MOMENTS and isinstance(value, str)
            else in_exam_time(value, summary)
            for name, value in content.items()
        }
    return [in_exam_time(one, summary) for one in content] if isinstance(content, list) else content


def shown_name(name: str) -> str:
    """A DICOM name as people read it: `Mueller^Zoe` is `Mueller, Zoe`; each group of scripts in turn."""
    groups = [_group(group) for group in name.split("=")]
    return " / ".join(group for group in groups if group) or name


def _group(group: str) -> str:
    family, _, rest = group.partition("^")
    given = " ".join(part.strip() for part in rest.split("^") if part.strip())
    return ", ".join(part for part in (family.strip(), given) if part)


def infant_dict(infant: Infant, at: datetime) -> dict[str, Any]:
    """The infant's fields with what is worked out from them, at the time of the exam."""
    return {
        **infant.to_dict(),
        "shown_name": shown_name(infant.name),
        "born_day": f"{infant.born_at:%Y-%m-%d}",
        "postmenstrual_age": str(infant.postmenstrual_age(at)),
    }


def shown_day(dicom: str) -> str:
    """A DICOM date (`20261001`) as `2026-10-01`; anything else as it is."""
    return f"{dicom[:4]}-{dicom[4:6]}-{dicom[6:]}" if len(dicom) == 8 and dicom.isdigit() else dicom


def shown_time(scheduled: str) -> str:
    """The time of a worklist's `20261128 093000` as `09:30`; empty where there is none."""
    time = scheduled.partition(" ")[2]
    return f"{time[:2]}:{time[2:4]}" if len(time) >= 4 and time[:4].isdigit() else ""


def shown_span(seconds: float) -> str:
    """How long something takes, as a person says it; never none where it takes a moment."""
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""The report as one PDF page, for the many viewers that show no structured report."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from importlib.metadata import version

import cv2
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos

from runtime.commands.text import printable, word
from runtime.dicom import fonts, text
from runtime.dicom.records import DicomExam, ViewShown
from runtime.exam.infant import Weeks
from runtime.exam.result import Conclusion
from runtime.sinks.palette import OUTCOME_COLOURS
from runtime.sinks.picture import encode, shrink
from runtime.views import EYE_WORDS, Eye

FORM = "4"
"""Changes with every change of the page, so that another page has another UID."""
MARGIN_MM, WIDTH_MM, BOTTOM_MM, FOOT_MM = 12.0, 186.0, 282.0, 14.0
PER_ROW = 5
PICTURE_PIXELS = 240
MOST_LETTERS = 600
"""Of one thing that a person wrote. What is cut, or does not fit, is named by number; other reports have it."""

_LATIN = "".join(map(chr, range(0x20, 0x7F)))

logging.getLogger("fpdf").setLevel(logging.CRITICAL)
logging.getLogger("fontTools").setLevel(logging.CRITICAL)


def made_with() -> str:
    """What beside the exam decides the page's bytes."""
    libraries = " ".join(f"{name} {version(name)}" for name in ("fpdf2", "uharfbuzz"))
    return f"{FORM} {libraries} cv2 {cv2.__version__} {fonts.identity()}"


def page(exam: DicomExam) -> bytes:
    """One A4 page: outcome, infant, eyes, pictures, findings of clinicians, changes. The same bytes each time."""
    made = _Page(exam)
    made.head()
    made.eyes()
    made.pictures()
    made.people()
    made.foot()
    return bytes(made.pdf.output())


class _Page:
    """The page while it is written, from top to bottom."""

    def __init__(self, exam: DicomExam) -> None:
        self.exam = exam
        self.pdf = FPDF(format="A4")
        self.pdf.set_margin(MARGIN_MM)
        self.pdf.set_auto_page_break(False)
        self.pdf.set_creation_date(exam.closed_at)
        self.pdf.set_title("Screening for retinopathy of prematurity")
        self.pdf.set_lang("en")
        self.pdf.add_page()
        self._family = "helvetica"
        self._unfit = 0
        self._chosen = fonts.chosen((*_texts(exam), _LATIN))
        found = self._chosen.fonts
        for font, path in found:
            self.pdf.add_font(font.name, fname=str(path))
        if found and found[0][0].name == "sans":
            self._family = "sans"
            self.pdf.set_fallback_fonts([font.name for font, _ in found[1:]], exact_match=False)
            self.pdf.set_text_shaping(True)

    def line(self, said: str, size: float = 9.5, *, height: float = 4.6) -> None:
        """Text from margin to margin, over as many lines as it needs; what would reach the foot is counted instead."""
        self.pdf.set_font(self._family, size=size)
        shown = self._shown(said)
        if len(shown) > MOST_LETTERS:
            shown = f"{shown[:MOST_LETTERS]} ... ({len(shown) - MOST_LETTERS} more letters)"
        needed = self.pdf.multi_cell(WIDTH_MM, height, shown, align="L", dry_run=True, output=MethodReturnValue.HEIGHT)
        assert isinstance(needed, float)
        if self.pdf.get_y() + needed > BOTTOM_MM - FOOT_MM:
            self._unfit += 1
            return
        self.pdf.multi_cell(WIDTH_MM, height, shown, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _shown(self, said: str) -> str:
        """In letters that the font has."""
        shown = printable(said)
        return shown.encode("latin-1", "replace").decode("latin-1") if self._family == "helvetica" else shown

    def head(self) -> None:
        """Title, notice, outcome, who and when."""
        exam, infant = self.exam, self.exam.infant
        self.line("Screening for retinopathy of prematurity", 15, height=7)
        self.line(_notice(exam), 9)
        self.banner(exam.verdict)
        for said in (*exam.disagreements, *exam.warnings):  # they must be read beside the outcome
            self.line(said)
        self.line(_name(infant.name), 12, height=6)  # alone, for a script from the right turns what stands beside it
        self.line(f"{infant.identifier}{f', {infant.sex}' if infant.sex else ''}", 11, height=5.5)
        self.line(", ".join(_facts(exam)))
        order = exam.order
        if order.accession or order.description:
            self.line(f"Ordered: accession {order.accession or '-'}, {order.description or 'no description'}")
        if self._chosen.unshown:
            self.line(
                f"{len(self._chosen.unshown)} letter(s) of this page cannot be shown with the fonts of this cart; the "
                f"structured report has them. Packages that bring fonts: {', '.join(fonts.PACKAGES)}."
            )

    def banner(self, verdict: Conclusion) -> None:
        """The outcome as a coloured bar; the words say it, not the colour."""
        self.pdf.ln(1.5)
        self.pdf.set_fill_color(*_rgb(OUTCOME_COLOURS[verdict.outcome]))
        self.pdf.set_font(self._family, size=12)
        where = f" ({verdict.where}: {verdict.reason})" if verdict.where and verdict.reason else ""
        said = verdict.banner
        shown = self._shown(f"{word(verdict.outcome)}: {said}{where if verdict.where not in said else ''}")
        self.pdf.multi_cell(WIDTH_MM, 7, shown, fill=True, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.pdf.ln(1.5)

    def eyes(self) -> None:
        """Outcome of each eye with its reason."""
        for eye in Eye:
            verdict = self.exam.eyes[eye]
            reason = ", ".join(filter(None, (verdict.where, verdict.reason)))
            self.line(f"{_begin(EYE_WORDS[eye])}: {word(verdict.outcome)}{f' ({reason})' if reason else ''}", 10.5)

    def pictures(self) -> None:
        """The picture that decided each view, right eye above left, with the view's outcome below."""
        self.pdf.ln(1)
        for eye in Eye:
            row = [shown for shown in self.exam.views if shown.eye is eye][:PER_ROW]
            if any(shown.shot for shown in row) and self.pdf.get_y() < BOTTOM_MM - 60:
                self._row(row)

    def _row(self, row: list[ViewShown]) -> None:
        top, wide = self.pdf.get_y(), WIDTH_MM / PER_ROW
        below = top + (wide - 2) * 0.75 + 8
        for number, shown in enumerate(row):
            left, high = MARGIN_MM + number * wide, (wide - 2) * 0.75
            if shown.shot is not None:
                small = encode(shrink(shown.shot.load(), PICTURE_PIXELS), ".jpg")
                self.pdf.image(io.BytesIO(small), x=left, y=top, w=wide - 2, h=high, keep_aspect_ratio=True)
            self.pdf.set_xy(left, top + high)
            self.pdf.set_font(self._family, size=7)
            said = f"{shown.eye.value} {shown.view.value}: {word(shown.verdict.outcome)}"
            said += "" if shown.shot else f", {shown.verdict.reason}"
            self.pdf.multi_cell(
                wide - 2, 3.2, self._shown(said), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT, max_line_height=3.2
            )
            below = max(below, self.pdf.get_y() + 1)  # a reason of several lines: no picture may cover it
        self.pdf.set_xy(MARGIN_MM, below)

    def people(self) -> None:
        """What clinicians found, as theirs, and what was changed, with reasons."""
        lines = [f"{f.who}, {f.at:%Y-%m-%d %H:%M %z}, {EYE_WORDS[f.eye]}: {f.words}" for f in self.exam.documented]
        changed = [f"{c.at:%Y-%m-%d %H:%M %z}, {c.who}: {c.what}; {c.reason}" for c in self.exam.changes]
        light = list(self.exam.exposures)
        for title, said in (("Documented by clinicians", lines), ("Changed", changed), ("Light", light)):
            if said:
                self.line(title, 11, height=6)
            for one in said:
                self.line(one)

    def foot(self) -> None:
        """What made it."""
        bundles = dict.fromkeys(f"{s.reading.bundle.name} {s.reading.bundle.version}" for s in self.exam.shots)
        threshold = "" if self.exam.refer_threshold is None else f", threshold {self.exam.refer_threshold:g}"
        self.pdf.set_font(self._family, size=7.5)
        if self._unfit:
            self.pdf.set_xy(MARGIN_MM, BOTTOM_MM - FOOT_MM + 0.5)
            more = f"{self._unfit} more of what was said did not fit on this page; "
            more += "the structured report and the cart's have it"
            self.pdf.multi_cell(WIDTH_MM, 3.4, self._shown(more), align="L")
        self.pdf.set_xy(MARGIN_MM, BOTTOM_MM - 10)
        said = f"Exam {self.exam.exam_id.split('/')[-1]}, model {', '.join(bundles) or 'none'}{threshold}, "
        said += f"software {self.exam.equipment.software}. {_notice(self.exam)}"
        self.pdf.multi_cell(WIDTH_MM, 3.4, self._shown(said), align="L")


def _begin(words: str) -> str:
    return words[0].upper() + words[1:]


def _notice(exam: DicomExam) -> str:
    return " ".join(exam.notices)


def _name(name: str) -> str:
    """As people read it: `Given Family`, other scripts after a stroke."""
    groups = []
    for group in text.plain(name).split("="):
        family, *given = (part.strip(" ") for part in group.split("^"))
        ideographic = any("\u2e80" <= letter <= "\ud7ff" for letter in group)
        parts = [family, *given[:2]] if ideographic else [*given[2:3], *given[:2], family, *given[3:]]
        groups.append(" ".join(filter(None, parts)))
    return " / ".join(filter(None, groups))


def _facts(exam: DicomExam) -> Iterator[str]:
    infant = exam.infant
    if infant.birth_date is not None:
        at = f" {infant.birth_time:%H:%M}" if infant.birth_time is not None else ""
        yield f"born {infant.birth_date:%Y-%m-%d}{at}"
    if infant.gestational_age_days is not None:
        yield f"at {Weeks(infant.gestational_age_days)}"
    if infant.birth_weight_g is not None:
        yield f"{infant.birth_weight_g} g"
    if infant.postmenstrual_age_days is not None:
        yield f"postmenstrual age (PMA) {Weeks(infant.postmenstrual_age_days)}"
    yield f"examined {exam.opened_at:%Y-%m-%d %H:%M %z}"
    yield from filter(None, (f"by {exam.operator}" if exam.operator else "", exam.equipment.station))


def _texts(exam: DicomExam) -> list[str]:
    people = [x for f in exam.documented for x in (f.who, f.words)]
    changes = [x for c in exam.changes for x in (c.who, c.what, c.reason)]
    return [exam.infant.name, exam.infant.identifier, exam.order.description, exam.operator, *people, *changes]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

"""Every text that the pages may show: those in `t("...")` of the scripts, and the controlled ones of the software."""

from __future__ import annotations

import re
from pathlib import Path

from runtime.cart.adjusting import FLASHED
from runtime.cart.demo.parts import HINT
from runtime.cart.hints import Hint
from runtime.exam.look_twice import ALREADY
from runtime.explanation import WORDS as GATES_WORDS
from runtime.outcome import (
    AID_NOTICE,
    BANNERS,
    DEMONSTRATION_NOTICE,
    EXAM_REASONS,
    LIKE_ANOTHER,
    ONE_EYE,
    ONE_PICTURE,
    Outcome,
)
from runtime.quality import (
    BLURRED,
    COLOURS,
    DRAWN_OVER,
    FIELD,
    NOT_A_RETINA,
    NOT_ONE,
    REPEATED,
    TOO_BRIGHT,
    TOO_DARK,
    TORN,
    UNEVEN,
    UNFAMILIAR,
)
from runtime.views import View

PAGES = Path(__file__).parents[3] / "runtime/cart/pages"
_T = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
_EITHER = re.compile(r'\bt\([^()"]*\? "([^"]+)" : "([^"]+)"')
_IN_MAP = re.compile(r"\bt\(\{(.*?)\}\[", re.DOTALL)
_LISTED = re.compile(r'(?:title|chips?|suggestions)?: "([^"]+)"')


def texts_used() -> set[str]:
    """All of them, in English."""
    found: set[str] = set()
    for script in PAGES.rglob("*.js"):
        source = script.read_text(encoding="utf-8")
        found |= set(_T.findall(source))
        for either in _EITHER.findall(source):
            found |= set(either)
        for inside in _IN_MAP.findall(source):
            found |= set(re.findall(r': "([^"]+)"', inside))
        for listed in re.findall(r'askReason\(t\("[^"]*"\),\s*\[([^\]]*)\]', source):
            found |= set(re.findall(r'"([^"]+)"', listed))
        for listed in re.findall(r'\bask\("[^"]*", \[([^\]]*)\]', source):
            found |= set(re.findall(r'"([^"]+)"', listed))
        for title in re.findall(r'title: "([^"]+)"', source):
            found.add(title)
        for statuses in re.findall(r"const STATUS = \{(.*?)\};", source, re.DOTALL):
            found |= set(re.findall(r': "([^"]+)"', statuses))
    found |= {hint.value for hint in Hint} | {view.value for view in View}
    found |= {outcome.value.replace("_", " ") for outcome in Outcome} | set(BANNERS.values())
    found |= {TOO_DARK, TOO_BRIGHT, BLURRED, FIELD, NOT_A_RETINA, REPEATED}
    found |= set(EXAM_REASONS) - {LIKE_ANOTHER}  # which stands in a sentence of its own
    found |= {NOT_ONE, UNFAMILIAR, TORN, DRAWN_OVER, COLOURS, UNEVEN}
    found |= set(ALREADY.values())
    found |= {AID_NOTICE, DEMONSTRATION_NOTICE, ONE_EYE, ONE_PICTURE, HINT, GATES_WORDS, FLASHED}
    found |= {"infant unstable", "refused", "equipment", "same name", "same surname", "same birth date"}
    found |= {
        "software",
        "camera",
        "still camera",
        "light board",
        "worklist",
        "disk",
        "archive",
        "clock",
        "model",
        "closed",
        "retired",
    }
    found |= {"waiting", "sent, not yet answered for", "in the archive", "held", "not closed yet", "nothing to send"}
    return found - {""}

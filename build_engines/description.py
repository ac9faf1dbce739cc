"""What a bundle must say of its model that cannot be read off the weights: classes, use, data, figures."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from build_engines.errors import BuildError
from build_engines.markdown import bad_link
from calibration.gap_words import is_unknown_elsewhere
from device.checked_file import read_whole, strict_json
from device.outputs import PUBLIC, write_whole
from device.shown import only_seen
from runtime.checked_json import first_problem, model_from
from runtime.manifest import DISEASE, ClassLabel, CrossValidation, Metric, Stated, TrainingSet

REPLACE = "REPLACE"
"""Begins every value of the template that has to be replaced."""
_DONE = (
    "added|announced|available|completed|confirmed|decided|defined|described|determined|disclosed|documented|done|filled"
    "|filled in|given|known|provided|reported|set|specified|stated|supplied|updated|written"
)
NOTHING = re.compile(
    rf"n ?a|k ?a|(not|un|non)( yet)? ?({_DONE}|applicable)( (yet|here|so far))?"
    rf"|(still |yet )?(to|will|must|has to|needs to) be ({_DONE})( (later|soon|here))?"
    r"|none( (given|provided|specified|stated))?( yet)?|nothing( yet)?"
    rf"|no (answer|comment|data|details|entry|information|statement|value)( (available|{_DONE}))?( yet)?"
    rf"|(data|details|information) (is |are )?(not|un)( yet)? ?(available|{_DONE})( yet)?"
    r"|not (available|known|stated) (at (this|the) (time|moment)|at present)|not (relevant|sure)|idk|dunno"
    r"|((i|we) )?(do not|don ?t) know( yet)?|(to )?follows?"
    r"|nil|null|nan|void|blank|empty|missing|unclear|pending|default|dummy|placeholder|coming soon|later|ditto|string"
    r"|text|asdf|foo|foo ?bar|wip|work in progress|x( ?x)*"
    r"|see (the |our |this )?(above|article|below|description|documentation|elsewhere|here|homepage|link|manuscript"
    r"|paper|preprint|publication|readme|references?|report|supplement|thesis|web ?page|web ?site)"
    r"|(enter|fill|insert|put|write)( \w+){0,3} (here|in|me)"
    r"|(dummy|example|insert|sample|some|your) (answer|description|text|value|words)( here)?"
    r"|(todo|fixme|tba|tbc|tbd|lorem|xxx+)( .*)?"
)
"""What stands for a gap, in small letters without signs: a card that shows it as stated hides it."""
CLASS_NAME = re.compile(r"classes\.\d+\.name")
"""Where a word like `none` or `unknown` is a name."""
ONE_LINE = ("name", "version")
"""Fields that stand within a line wherever they are shown."""


class Description(BaseModel):
    """The part of the manifest that the maker of a model writes. As JSON it stands beside the checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    issue: int = Field(default=0, ge=0)
    """Grows with each issue of this name; 0 is not numbered."""
    expires: date | None = None
    """Last day on which the bundle may be used; None sets no end."""
    disease: str = DISEASE
    intended_use: str = Field(min_length=1)
    clinical_use: bool = False
    classes: tuple[ClassLabel, ...] = Field(min_length=2)
    refer_threshold: float = Field(default=0.5, gt=0, lt=1)
    training_data: tuple[TrainingSet, ...] = ()
    metrics: tuple[Metric, ...] = ()
    cross_validation: CrossValidation | None = None
    stated: Stated = Stated()
    """What reviewers ask; the card shows what is not said as `not stated`."""

    @model_validator(mode="after")
    def _classes_fit(self) -> Description:
        if self.disease != DISEASE:
            raise ValueError(f"disease: got {self.disease!r}, expected {DISEASE!r}: no cart takes a bundle for another")
        names = [label.name for label in self.classes]
        if len(set(names)) != len(names):
            raise ValueError(f"classes: names must differ, got {', '.join(names)}")
        if len({label.refer for label in self.classes}) != 2:
            raise ValueError("classes: at least one must count towards referral and at least one must not")
        for note in self.stated.version_history:
            date.fromisoformat(note.date)
        for metric in self.metrics:
            if not metric.low <= metric.value <= metric.high:
                raise ValueError(f"metrics: {metric.name} {metric.device}: its value lies outside of its interval")
        _require_once("metrics", [(m.task, m.name, m.dataset, m.device, m.precision) for m in self.metrics])
        _require_once("training_data", [(one.name,) for one in self.training_data])
        _require_once("stated.version_history", [(note.version,) for note in self.stated.version_history])
        return self

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_whole(path, (self.model_dump_json(indent=2) + "\n").encode(), PUBLIC)


def _require_once(where: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Raise `ValueError` where two rows are of one thing: a card would show both."""
    for number, row in enumerate(rows):
        if row in rows[:number]:
            raise ValueError(
                f"{where}: got {' '.join(row)} in rows {rows.index(row)} and {number}, expected it once; take one out"
            )


LARGEST = 4 * 2**20
"""Bytes of a description."""


def load_description(path: Path) -> Description:
    """Read a description. Raises `BuildError` when it cannot be read or is not one."""
    try:
        text = read_whole(path, LARGEST).decode("utf-8-sig")
        if wrong := says_nothing(strict_json(text)):
            raise BuildError(f"description {path}: {wrong}")
        found = model_from(Description, text)
    except OSError as error:
        raise BuildError(f"description {path}: cannot be read ({error.strerror or error})") from None
    except ValidationError as error:
        problem = first_problem(error, "description")
        raise BuildError(f"description {path}: {problem}; see python -m build_engines describe --help") from None
    except ValueError as error:
        raise BuildError(f"description {path}: not JSON ({error})") from None
    if found.expires is not None and found.expires < datetime.now(timezone.utc).date():
        raise BuildError(
            f"description {path}: expires on {found.expires}, which is past: no cart would take the bundle"
        )
    return found


def template(classes: int = 2) -> str:
    """A description as JSON in which everything that must be said says `REPLACE`, and all else is null."""
    labels = [
        {"name": f"{REPLACE}_{number}", "meaning": f"{REPLACE}: what it says of the frame", "refer": number > 0}
        for number in range(classes)
    ]
    content = {
        "name": f"{REPLACE}: of the model, the same for all versions",
        "version": f"{REPLACE}: of this one",
        "intended_use": f"{REPLACE}: for whom, by whom, with which camera, to decide what",
        "clinical_use": False,
        "classes": labels,
        "refer_threshold": 0.5,
        "training_data": [],
        "metrics": [],
        "stated": Stated().model_dump(),
    }
    return json.dumps(content, indent=2) + "\n"


def gaps(stated: Stated) -> tuple[str, ...]:
    """The fields of which nothing is said."""
    return tuple(name for name, value in stated if not value or (isinstance(value, str) and not says(value)))


def says_nothing(value: object) -> str:
    """What is wrong with texts that stand for a gap, or with the first that breaks a line; empty where nothing is."""
    texts = dict(_texts(value))
    if left := [where for where, text in texts.items() if REPLACE in text]:
        more = f"; so do {', '.join(left[1:])}" if left[1:] else ""
        return f"{left[0]} still holds the template's {REPLACE}{more}; say what is so, or null"
    return next((wrong for where, text in texts.items() if (wrong := _wrong(where, text))), "")


def _texts(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Every text with its place."""
    if isinstance(value, str):
        yield where, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for name, item in items:
        yield from _texts(item, f"{where}.{name}".lstrip("."))


def _wrong(where: str, value: str) -> str:
    if not (says(value) or (CLASS_NAME.fullmatch(where) and _plain(value))):
        return f"{where}: {value[:40]!r} says nothing; say what is so, or null where nothing can be said"
    if bad_link(value, whole=where.rpartition(".")[2] == "source"):
        return f"{where}: got {value[:40]!r}, expected links to https:// or http:// alone; name the page, or use words"
    if where.rpartition(".")[2] in ONE_LINE and not value.isprintable():
        return f"{where}: {value[:40]!r} holds a character that is not shown; expected one line of text"
    return ""


def says(text: str) -> bool:
    """Whether it holds a letter or a digit that is seen, and is nothing that stands for a gap, nor several of those."""
    parts = [part for part in re.split(r"[;,()|\n]| [-\u2013\u2014] ", text) if any(map(str.isalnum, part))]
    return _says(text) and any(map(_says, parts))


def _says(text: str) -> bool:
    plain = _plain(text).lower()
    dropped, spaced = (
        " ".join("".join(c if c.isalnum() or c.isspace() else sign for c in plain).split()) for sign in ("", " ")
    )
    forms = {dropped, spaced, dropped.replace(" ", ""), " ".join(dict.fromkeys(spaced.split()))}
    return bool(dropped) and not is_unknown_elsewhere(plain) and not any(NOTHING.fullmatch(form) for form in forms)


def _plain(text: str) -> str:
    """As it is read: without what nobody sees, letters and digits of every width as the usual ones."""
    return only_seen(unicodedata.normalize("NFKC", text)).strip()


def plain_description(name: str, classes: int) -> Description:
    """For a checkpoint that nobody described: numbered classes, of which all but the first refer."""
    return Description(
        name=name,
        version="0",
        intended_use="Not stated: built without a description. Not for clinical use.",
        classes=tuple(
            ClassLabel(name=f"class_{i}", meaning=f"Output {i} of the classifier; not described.", refer=i > 0)
            for i in range(classes)
        ),
    )

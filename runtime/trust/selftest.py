"""The known-answer self-test: frames of the bundle go through the engine, and what comes out must be what is known.

An engine is held against the bundle's answers, within the tolerance for its precision, and later against its own first
answers as well, far more closely: the same machine must go on giving the same, to the bit if it did so at the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.checked_json import first_problem, model_from
from runtime.decide import decide
from runtime.engines.base import Engine
from runtime.errors import BundleError, EngineAway, ScreeningError
from runtime.outcome import Outcome
from runtime.preprocess import SIDE
from runtime.trust.blocks import block_means

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.trust.selftest_content import Expected, FrameMeaning, SelfTestContent

SELF_TEST = "selftest/expected.json"
SELF_TEST_SCHEMA = "rop.selftest/1"
SAME_MACHINE = 1e-3
"""Most that an answer may differ from the engine's own first one: the same arithmetic on the same input."""
ASKED = 3
"""An engine that gave the same to the bit has failed when it gives something else so many times in a row: a changed
weight stays changed, and a rare difference in the order of additions does not."""


@dataclass(frozen=True, eq=False)
class EngineAnswer:
    """What an engine gave for a frame."""

    probabilities: FloatArray
    """[C]."""
    logits: FloatArray
    """[C]."""
    vessels: FloatArray
    """[256, 256]."""

    @property
    def blocks(self) -> FloatArray:
        """Means of the vessel map's blocks, float32 [16, 16]."""
        return block_means(self.vessels)


@dataclass(frozen=True, eq=False)
class Known:
    """A frame with its known answer for one precision."""

    image: UInt8Array
    """RGB, uint8 [1, 256, 256, 3]."""
    probabilities: FloatArray
    """[C]."""
    blocks: FloatArray
    """[16, 16]."""


@dataclass(frozen=True)
class Tolerance:
    """Most that an answer may differ from the known one."""

    probability: float
    vessels: float
    """Of a block's mean vessel probability."""


@dataclass(frozen=True)
class Meant:
    """What the answers have to mean in the words of the bundle, under the threshold in force."""

    classes: tuple[str, ...]
    refer_classes: tuple[str, ...]
    threshold: float
    expected: tuple[Expected, ...]
    """Of each frame."""

    @property
    def knows_a_positive(self) -> bool:
        """Whether there is a frame that has to be referred."""
        return any(frame.refer for frame in self.expected)

    def problem(self, number: int, probabilities: FloatArray) -> str:
        """Why an answer does not mean what frame `number` (from 0) shows, "" when it does."""
        named = dict(zip(self.classes, map(float, probabilities), strict=True))
        frame, likeliest = self.expected[number], max(named, key=named.__getitem__)
        if frame.class_name not in (None, likeliest):
            return f"frame {number + 1}: shows {frame.class_name}, was taken for {likeliest}"
        outcome, reason = decide(named, self.refer_classes, self.threshold)
        if frame.refer and outcome is not Outcome.REFER:
            return f"frame {number + 1}: has to be referred and was not ({reason})"
        return ""


class SelfTest:
    """The self-test of one engine. Make it with `open_self_test`, once for each engine that is loaded."""

    def __init__(self, known: tuple[Known, ...], tolerance: Tolerance, meant: Meant | None = None) -> None:
        self._known = known
        self._tolerance = tolerance
        self.meant = meant
        self._first: list[EngineAnswer] | None = None
        self._exact = False
        """Whether the engine gave the same twice at the start, to the bit."""

    def run(self, engine: Engine) -> str:
        """Ask the engine; gives why its answers are wrong, "" when they are right.

        Raises `EngineAway` for an engine that cannot be asked now, and nothing else.
        """
        try:
            return self._run(engine)
        except EngineAway:
            raise
        except ScreeningError as error:
            return str(error)
        except Exception as error:  # whatever it is, the engine is not to be believed
            return f"{type(error).__name__}: {error}"

    def _run(self, engine: Engine) -> str:
        answers = self._ask(engine)
        if problem := self._against_known(answers) or self._against_meaning(answers):
            return problem
        if not engine.own:
            return ""
        if problem := self._against_first(answers):
            return problem
        if self._first is None:
            self._first, self._exact = answers, identical(answers, self._ask(engine))
        elif self._exact and not identical(answers, self._first):
            again = [identical(self._ask(engine), self._first) for _ in range(ASKED - 1)]
            if not any(again):
                return "the answers are no longer those of the start"
        return ""

    def _ask(self, engine: Engine) -> list[EngineAnswer]:
        return [ask(engine, known.image) for known in self._known]

    def _against_known(self, answers: list[EngineAnswer]) -> str:
        for number, (answer, known) in enumerate(zip(answers, self._known, strict=True), 1):
            if answer.probabilities.shape != known.probabilities.shape:
                return f"frame {number}: got {answer.probabilities.size} classes, expected {known.probabilities.size}"
            for what, got, wanted, most in (
                ("probability", answer.probabilities, known.probabilities, self._tolerance.probability),
                ("vessel map", answer.blocks, known.blocks, self._tolerance.vessels),
            ):
                off = float(np.abs(got - wanted).max())
                if not off <= most:  # so that a NaN does not pass
                    return f"frame {number}: {what} is off by {off:.2g}, at most {most:.2g}"
        return ""

    def _against_meaning(self, answers: list[EngineAnswer]) -> str:
        if self.meant is None:
            return ""
        problems = (self.meant.problem(number, answer.probabilities) for number, answer in enumerate(answers))
        return next(filter(None, problems), "")

    def _against_first(self, answers: list[EngineAnswer]) -> str:
        for number, (answer, first) in enumerate(zip(answers, self._first or answers, strict=True), 1):
            pairs = (
                ("probability", answer.probabilities, first.probabilities, SAME_MACHINE),
                ("vessel map", answer.vessels, first.vessels, SAME_MACHINE),
                ("logit", answer.logits, first.logits, SAME_MACHINE * max(1.0, float(np.abs(first.logits).max()))),
            )
            for what, got, wanted, most in pairs:
                off = float(np.abs(got - wanted).max())
                if not off <= most:
                    return f"frame {number}: {what} moved by {off:.2g} since the start, at most {most:.2g}"
        return ""


class RepeatTest(SelfTest):
    """For a bundle that knows no answers: the engine must give again what it gave first for a drawn picture."""

    def __init__(self) -> None:
        super().__init__((), Tolerance(SAME_MACHINE, SAME_MACHINE))

    def _run(self, engine: Engine) -> str:
        if not self._known:
            first = ask(engine, _drawn())
            self._known = (Known(_drawn(), first.probabilities, first.blocks),)
        return super()._run(engine)


def _drawn() -> UInt8Array:
    """RGB, uint8 [1, 256, 256, 3]."""
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    image = np.empty((1, SIDE, SIDE, 3), np.uint8)
    image[0, :, :, 0], image[0, :, :, 1], image[0, :, :, 2] = ramp, ramp[:, np.newaxis], 64
    return image


def ask(engine: Engine, image: UInt8Array) -> EngineAnswer:
    """The engine's answer, copied. image: RGB, uint8 [1, 256, 256, 3]."""
    found = engine.infer(image)
    return EngineAnswer(found.probabilities.copy(), found.logits.copy(), found.vessels.copy())


def identical(some: list[EngineAnswer], others: list[EngineAnswer]) -> bool:
    """Whether the answers are the same to the bit."""
    return all(
        np.array_equal(a.vessels, b.vessels) and np.array_equal(a.logits, b.logits)
        for a, b in zip(some, others, strict=True)
    )


def open_self_test(bundle: Bundle, precision: str, threshold: float | None = None) -> SelfTest | None:
    """The bundle's self-test for an engine of that precision (`EngineFacts.precision`); None where it holds none.

    threshold: in force, None is the bundle's. Raises `BundleError` for one that cannot be used, that knows no answers
    for the precision, or that was made for other classes than the bundle's; and where the bundle's own threshold or its
    gate's limits are not those that it was built with.
    """
    _check_edited(bundle)
    if SELF_TEST not in {entry.path for entry in bundle.manifest.files}:
        return None
    content = _parse(bundle)
    answers = content.answers.get(precision)
    if answers is None:
        raise BundleError(
            f"bundle {bundle.path}: its self-test knows {', '.join(content.answers)}, not {precision}; "
            f"build the bundle again, or choose one of these with --precision"
        )
    known = tuple(
        Known(_image(bundle, name), np.asarray(a.probabilities, np.float32), np.asarray(a.vessels, np.float32))
        for name, a in zip(content.frames, answers.frames, strict=True)
    )
    meant = None if content.meaning is None else _meant(bundle, content.meaning, threshold)
    return SelfTest(known, Tolerance(answers.probability_tolerance, answers.vessels_tolerance), meant)


def must_refer(bundle: Bundle) -> tuple[UInt8Array, ...]:
    """The frames of a bundle's self-test that have to be referred, RGB, uint8 [1, 256, 256, 3]; () where it knows none.

    Raises `BundleError` for a self-test that cannot be used.
    """
    if SELF_TEST not in {entry.path for entry in bundle.manifest.files}:
        return ()
    content = _parse(bundle)
    if content.meaning is None:
        return ()
    named = zip(content.frames, content.meaning.frames, strict=True)
    return tuple(_image(bundle, name) for name, expected in named if expected.refer)


def _check_edited(bundle: Bundle) -> None:
    """What an edited threshold or limit of the gate lets through, few frames of a self-test show: the vectors do."""
    from runtime.trust.vectors import VECTORS, open_vectors

    if VECTORS not in {entry.path for entry in bundle.manifest.files}:
        return  # of before 0.2.0
    vectors, named = open_vectors(bundle), bundle.manifest.refer_threshold
    if vectors.refer_threshold != named:
        raise BundleError(
            f"bundle {bundle.path}: its manifest refers at {named:g}, it was built with {vectors.refer_threshold:g}: "
            f"somebody edited it; a site's own threshold belongs into a signed profile, a new one of the model's: "
            f"python -m build_engines trust {bundle.path}"
        )
    limits, built = bundle.manifest.gate or {}, vectors.gate
    if built is not None and built != limits:
        name = min(name for name in {*built, *limits} if built.get(name) != limits.get(name))
        raise BundleError(
            f"bundle {bundle.path}: its gate's {name} is {limits.get(name, 'not stated')}, it was built with "
            f"{built.get(name, 'none')}: somebody edited it; a site's own limits belong into a signed profile, new "
            f"ones of the model's: python -m build_engines trust {bundle.path}"
        )


def _meant(bundle: Bundle, meaning: FrameMeaning, threshold: float | None) -> Meant:
    refer_classes = tuple(label.name for label in bundle.manifest.classes if label.refer)
    if (meaning.classes, meaning.refer_classes) != (bundle.class_names, refer_classes):
        raise BundleError(
            f"bundle {bundle.path}: its self-test is for the classes {', '.join(meaning.classes)}, of which "
            f"{', '.join(meaning.refer_classes)} refer; the manifest names {', '.join(bundle.class_names)}, of which "
            f"{', '.join(refer_classes)}; build it again"
        )
    known = {frame.class_name for frame in meaning.frames} - {None, *bundle.class_names}
    if known:
        raise BundleError(f"bundle {bundle.path}: its self-test knows the class {known.pop()}; build it again")
    in_force = bundle.manifest.refer_threshold if threshold is None else threshold
    return Meant(bundle.class_names, refer_classes, in_force, meaning.frames)


def _parse(bundle: Bundle) -> SelfTestContent:
    from pydantic import ValidationError

    from runtime.trust.selftest_content import SelfTestContent

    try:
        return model_from(SelfTestContent, bundle.read(SELF_TEST))
    except ValidationError as error:
        problem = first_problem(error, "file")
        raise BundleError(f"bundle {bundle.path}: {SELF_TEST}: {problem}; build it again") from None
    except ValueError as error:
        raise BundleError(f"bundle {bundle.path}: {SELF_TEST} is not JSON ({error}); build it again") from None


def _image(bundle: Bundle, name: str) -> UInt8Array:
    found = cv2.imdecode(np.frombuffer(bundle.read(name), np.uint8), cv2.IMREAD_COLOR)
    if found is None or found.shape != (SIDE, SIDE, 3):
        raise BundleError(f"bundle {bundle.path}: {name} is not a picture of {SIDE} x {SIDE}; build it again")
    return np.ascontiguousarray(found[np.newaxis, ..., ::-1]).astype(np.uint8, copy=False)

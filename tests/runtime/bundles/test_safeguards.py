"""What a bundle lacks is said, and a person decides: none that can refer nothing slips in."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.bundles.actions import Means, activate, install
from runtime.bundles.errors import NotActivated
from runtime.bundles.safeguards import LOOSEST, STRANGERS, lacking, strangers_known
from runtime.bundles.strangers import draw_strangers
from runtime.bundles.trial import Trial, TrialRequest
from runtime.engines import load_engine
from runtime.engines.base import Inference
from runtime.engines.fake import FakeEngine
from runtime.manifest import FAMILIAR
from runtime.quality import QualityLimits
from runtime.screener import Screener
from runtime.slots import read_active
from runtime.trust.drift import REFERENCE
from runtime.trust.selftest import SELF_TEST
from runtime.trust.vectors import VECTORS
from tests.runtime.bundles.making import WORKS

Content = dict[str, Any]


def remade(
    folder: Path, *without: str, edited: str = "", edit: Callable[[Content], object] = id, **words: Any
) -> Bundle:
    """The demonstration, without some files (by the beginning of their path), with one edited, under other words."""
    shutil.copytree(DEMONSTRATION, folder, ignore=shutil.ignore_patterns("*.sig"))
    manifest = json.loads((folder / "manifest.json").read_text()) | words
    gone = [entry for entry in manifest["files"] if entry["path"].startswith(without)] if without else []
    manifest["files"] = [entry for entry in manifest["files"] if entry not in gone]
    for entry in gone:
        (folder / entry["path"]).unlink()
    for entry in manifest["files"]:
        if entry["path"] == edited:
            content = json.loads((folder / edited).read_text())
            edit(content)
            raw = json.dumps(content).encode()
            (folder / edited).write_bytes(raw)
            entry |= {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(folder)


def knows_nothing_to_refer(content: Content) -> None:
    for frame in content["meaning"]["frames"]:
        frame["refer"] = False


def hardly_any_frames(content: Content) -> None:
    content["references"]["all"]["frames"] = 1


def expects_nothing_gradable(content: Content) -> None:
    content["references"]["all"]["gradable_share"] = 1e-9


SPOILT: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "no self-test": ({}, ("selftest/",), "holds no self-test"),
    "no positive": (
        {"edited": SELF_TEST, "edit": knows_nothing_to_refer},
        (),
        "self-test knows no frame that has to be referred",
    ),
    "threshold": ({"refer_threshold": 0.999}, (), "refer threshold is 0.999"),
    "gate": ({"gate": {"detail_min": 0}}, (), r"looser than this software's: detail_min 0 \(usual 1.45\)$"),
    "strangers": (
        {"edited": FAMILIAR, "edit": lambda content: content.update(limit=1e9)},
        (),
        r"lets all pass: limit 1e\+09",
    ),
    "drift": (
        {"edited": REFERENCE, "edit": hardly_any_frames},
        (),
        "nothing is told of score, vessel_fraction, bright",
    ),
    "gradable": ({"edited": REFERENCE, "edit": expects_nothing_gradable}, (), "nothing is told of gradable$"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_each_lack_is_said_alone_and_without_an_active_bundle(tmp_path: Path, what: str) -> None:
    changes, without, words = SPOILT[what]
    (said,) = lacking(remade(tmp_path / "b", *without, **changes), None)
    assert re.search(words, said), said


@pytest.mark.parametrize(("path", "what"), [(VECTORS, "stages"), (FAMILIAR, "strangers"), (REFERENCE, "drift")])
def test_what_the_active_bundle_has_is_missed(tmp_path: Path, path: str, what: str) -> None:
    poorer, shipped = remade(tmp_path / "b", path), open_bundle(DEMONSTRATION)
    assert [what in one for one in lacking(poorer, shipped)] == [True]
    assert [*lacking(poorer, None)] == [*lacking(shipped, poorer)] == [*lacking(shipped, shipped)] == []


def test_every_limit_of_the_gate_has_its_loosest() -> None:
    for limit in fields(QualityLimits):
        usual, loosest = getattr(QualityLimits(), limit.name), getattr(LOOSEST, limit.name)
        assert loosest < usual if limit.name.endswith("_min") else loosest > usual, limit.name


def blind(content: Content) -> None:
    """Every distance becomes nearly nothing, and the limit is a usual one."""
    content.update(variances=[1e9 * variance for variance in content["variances"]], rest=1e9 * content["rest"])


BLIND: dict[str, Callable[[Content], object]] = {
    "variances": blind,
    "scale": lambda content: content.update(scale=[1e4 * scale for scale in content["scale"]]),
}


@pytest.fixture(scope="module")
def strangers() -> list[FloatArray]:
    """What the demonstration's encoder sees of strangers."""
    with load_engine(open_bundle(DEMONSTRATION), "openvino", threads=2) as engine:
        found = [engine.infer(image).encoded for image in draw_strangers(STRANGERS, 1)]
    return [encoded.copy() for encoded in found if encoded is not None]


class Seeing(FakeEngine):
    """Gives one after the other as what its encoder saw."""

    encodes = True

    def __init__(self, seen: list[FloatArray]) -> None:
        super().__init__((0.9, 0.1))
        self._seen = iter(seen)

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        return replace(super()._infer(image, budget, deadline), encoded=next(self._seen))


@pytest.mark.parametrize("what", [*BLIND, ""])
def test_a_blind_test_of_strangers_is_seen_by_what_it_lets_pass(
    tmp_path: Path, strangers: list[FloatArray], what: str
) -> None:
    bundle = remade(tmp_path / "b", edited=FAMILIAR, edit=BLIND[what]) if what else open_bundle(DEMONSTRATION)
    assert [*lacking(bundle, None)] == []
    with Screener(bundle, engine=Seeing(strangers), trust="off") as screener:
        said = [*strangers_known(screener)]
    assert said == (
        [f"its test of strangers lets {STRANGERS} of {STRANGERS} drawn pictures pass that are no fundus"]
        if what
        else []
    )


def test_a_bundle_that_can_refer_nothing_needs_a_reason(tmp_path: Path) -> None:
    """Whole: installed beside the demonstration, tried in its process, refused, and activated by a person's word."""
    means = Means(tmp_path / "slots")
    shipped, _ = means.slots.add(DEMONSTRATION, lambda bundle: None)
    means.slots.switch(shipped.sha256, "test", means.site())
    without = ("selftest/", "vectors/")  # the vectors alone would tell that its threshold was edited
    found = install(means, remade(tmp_path / "b", *without, edited=FAMILIAR, edit=blind, refer_threshold=0.999).path)
    assert found.trial.problem == ""
    with pytest.raises(NotActivated) as said:
        activate(means, found.bundle.sha256)
    for words in (
        "no self-test",
        "lacks what the active bundle has",
        "threshold is 0.999",
        "2 of 2 frames that the active bundle's self-test has referred",
        "12 of 12 drawn pictures pass that are no fundus",
    ):
        assert words in str(said.value)
    assert read_active(means.folder).active == shipped.sha256  # type: ignore[union-attr]
    state, notes = activate(means, found.bundle.sha256, despite="asked for")
    assert state.active == found.bundle.sha256
    assert len(notes) == 5


def test_a_trial_against_another_bundle_is_made_anew(
    means: Means, one: Path, two: Path, trials: Callable[[Trial], list[TrialRequest]]
) -> None:
    asked = trials(replace(WORKS, against=""))
    first, second = (install(means, folder).bundle.sha256 for folder in (one, two))
    activate(means, first)
    assert len(asked) == 2
    trials(replace(WORKS, lacking=("it lacks much",), against=first))
    with pytest.raises(NotActivated, match="it lacks much"):
        activate(means, second)
    assert asked[-1].running == means.folder / first
    with pytest.raises(NotActivated, match="it lacks much"):
        activate(means, second)
    assert len(asked) == 3

"""The demonstration bundle that ships, held against the build side: its card, its defaults, the figures it states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from build_engines.card import model_card
from build_engines.familiar.fit import card_section
from build_engines.report.choose import defaults, out_of_tolerance
from build_engines.report.store import read_report
from build_engines.train.data import network_mask, ridge_frames, split_frames, vessel_frames
from device import open_camera
from runtime import Reading, Screener, open_bundle
from runtime.bundle import DEMONSTRATION
from runtime.cpu_class import CPU_CLASSES
from runtime.familiar import FamiliarContent
from runtime.manifest import FAMILIAR, NETWORKS
from runtime.metrics import dice, roc_auc


@pytest.fixture(scope="module")
def screener() -> Iterator[Screener]:
    with Screener(open_bundle(), reject_repeats=False) as screener:
        yield screener


def read(screener: Screener, path: Path) -> Reading:
    with open_camera(str(path)) as camera:
        frame = camera.read()
    assert frame is not None
    return screener.screen(frame)


def stated(name: str) -> dict[str, float]:
    """The network's own held-out figures by device; a second person's masks are not the network's doing."""
    metrics = open_bundle().manifest.metrics
    return {m.device: m.value for m in metrics if m.name == name and m.device != "second observer"}


def test_its_model_card_says_what_its_manifest_and_report_say() -> None:
    bundle = open_bundle()
    card = (DEMONSTRATION / "MODEL_CARD.md").read_text(encoding="utf-8")
    strangers = FamiliarContent.model_validate_json(bundle.read(FAMILIAR))
    assert card == f"{model_card(bundle.manifest, read_report(bundle))}\n{card_section(strangers)}"


def test_every_precision_is_held_and_the_default_for_each_class_of_cpu_is_within_tolerance() -> None:
    bundle, report = open_bundle(), read_report(open_bundle())
    for network in NETWORKS:
        assert bundle.precisions(network) == ("fp32", "fp16", "int8")
    assert bundle.manifest.default_precision == defaults(report)
    assert {found.machine.cpu_class for found in (report, *report.others)} == set(CPU_CLASSES)
    for found in (report, *report.others):
        chosen = found.combination(found.chosen["segmentation"], found.chosen["classifier"])
        assert out_of_tolerance(chosen, found.combination("fp32", "fp32"), found.tolerance) == []
        assert chosen.every.frames > 330


@pytest.mark.data
def test_the_runtime_gets_the_stated_dice_on_held_out_frames(screener: Screener, data_root: Path) -> None:
    values: dict[str, list[float]] = {}
    for frame in split_frames(vessel_frames(data_root)).held_out:
        reading = read(screener, frame.image)
        assert reading.vessels is not None
        assert frame.vessel_mask is not None
        vessels = reading.vessels.astype(np.float32) / 255
        values.setdefault(frame.device, []).append(dice(vessels, network_mask(frame.vessel_mask, 256)))
    assert {device: float(np.mean(v)) for device, v in values.items()} == pytest.approx(stated("dice"), abs=0.005)


@pytest.mark.data
def test_the_runtime_gets_the_stated_auc_on_held_out_frames(screener: Screener, data_root: Path) -> None:
    frames = split_frames(ridge_frames(data_root)).held_out
    readings = [read(screener, frame.image) for frame in frames]
    scores = np.array([(r.probabilities or {})["ridge_in_view"] for r in readings])
    assert roc_auc(scores, [f.ridge_in_view for f in frames]) == pytest.approx(stated("roc_auc")["all"], abs=0.005)

from __future__ import annotations

import pytest

from build_engines.report.choose import choose, defaults, out_of_tolerance
from build_engines.report.schema import AdoptionLimits
from tests.build_engines.report.figures import all_alike, combination, report, speeds

T = AdoptionLimits()


@pytest.mark.parametrize(
    ("segmentation", "classifier", "half", "expected"),
    [
        (2.8, 2.6, 1.9, ("int8", "int8")),
        (2.8, 1.5, 1.9, ("int8", "fp16")),
        (2.0, 0.9, 1.0, ("int8", "fp32")),
        (1.04, 1.0, 1.0, ("fp32", "fp32")),
        (1.2, 1.2, 1.9, ("fp16", "fp16")),
    ],
)
def test_the_fastest_is_taken_network_by_network(
    segmentation: float, classifier: float, half: float, expected: tuple[str, str]
) -> None:
    chosen, _ = choose(speeds(segmentation, classifier, half), list(all_alike().values()), T)
    assert (chosen["segmentation"], chosen["classifier"]) == expected


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        ({"dice": 0.694}, "int8 + int8: Dice falls by 0.0060, allowed 0.005"),
        ({"auc": 0.89}, "int8 + int8: AUC falls by 0.0100"),
        ({"same": 0.985}, "int8 + int8: 39 of 40 outcomes equal (97.5%; 95 %: 87.1% to 99.6%)"),
    ],
)
def test_what_is_out_of_tolerance_is_never_chosen_and_said(worse: dict[str, float], said: str) -> None:
    found = all_alike()
    found["int8", "int8"] = combination("int8", "int8", **worse)
    chosen, reasons = choose(speeds(2.8, 2.6, 1.5), list(found.values()), T)
    assert (chosen["segmentation"], chosen["classifier"]) == ("int8", "fp16")
    assert any(said in reason for reason in reasons)


def test_nothing_is_chosen_when_all_is_slower_or_worse() -> None:
    found = {pair: combination(*pair, same=0.5) for pair in all_alike()}
    found["fp32", "fp32"] = combination("fp32", "fp32")
    chosen, reasons = choose(speeds(3.0, 3.0, 2.0), list(found.values()), T)
    assert chosen == {"segmentation": "fp32", "classifier": "fp32"}
    assert len(reasons) == 8


def test_figures_within_tolerance_or_better_are_no_fault() -> None:
    reference = combination("fp32", "fp32")
    assert out_of_tolerance(combination("int8", "int8", dice=0.6951, auc=0.95, same=0.99), reference, T) == []
    unlabelled = combination("int8", "int8", dice=None, auc=None)
    assert out_of_tolerance(unlabelled, combination("fp32", "fp32", dice=None, auc=None), T) == []


def test_each_class_of_cpu_gets_its_choice_and_all_others_that_of_the_least() -> None:
    least, best = report(("int8", "fp32"), "avx2", "AVX2"), report(("int8", "int8"), "amx")
    found = defaults(best.model_copy(update={"others": (least,)}))
    assert found == {"openvino": least.chosen, "openvino/avx2": least.chosen, "openvino/amx": best.chosen}


def test_on_a_cpu_of_no_known_class_there_is_one_choice() -> None:
    assert defaults(report(("fp16", "fp16"))) == {"openvino": {"segmentation": "fp16", "classifier": "fp16"}}

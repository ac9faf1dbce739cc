from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.plan_key import PlanKey, architecture_name, precision_word, release, split_precision

PRECISIONS = ("fp32", "fp16", "int8", "int8+fp16", "fp16+fp32")


@given(
    capability=st.tuples(st.integers(5, 12), st.integers(0, 9)),
    library=st.sampled_from(["trt", "rtx"]),
    version=st.tuples(*[st.integers(0, 99)] * 3),
    precision=st.sampled_from(PRECISIONS),
)
def test_a_key_is_read_as_it_is_written(
    capability: tuple[int, int], library: Any, version: tuple[int, ...], precision: str
) -> None:
    key = PlanKey(architecture_name(*capability), library, ".".join(map(str, version)), precision)
    assert PlanKey.parse(str(key)) == key
    assert precision_word(key.precisions) == precision


def test_a_key_reads_as_the_bundles_folder_is_called() -> None:
    assert str(PlanKey("sm87", "trt", "10.3.0", "int8")) == "sm87-trt10.3.0-int8"
    assert str(PlanKey("sm86", "rtx", release("1.7.1.116"), "int8+fp16")) == "sm86-rtx1.7.1-int8+fp16"
    assert PlanKey.parse("sm120-rtx1.7.1-int8+fp16").precisions == {"segmentation": "int8", "classifier": "fp16"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plans",
        "sm87",
        "87-trt10.3.0-int8",
        "sm87-trt10.3-int8",
        "sm87-trt10.3.0",
        "sm87-trt10.3.0-int4",
        "sm87-trt10.3.0-int8+",
        "sm87-trt10.3.0-int8+int8",
        "sm87-trt10.3.0-int8+fp16+fp32",
        "sm87-trt10.3.0-int8/..",
        "../sm87-trt10.3.0-int8",
        "sm87-trt10.3.0-int8\n",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PlanKey.parse(text)


@given(st.text(max_size=30))
def test_no_text_becomes_a_key_that_reads_otherwise(text: str) -> None:
    try:
        key = PlanKey.parse(text)
    except ValueError:
        return
    assert str(key) == text


def test_a_version_needs_three_numbers() -> None:
    assert release("10.13.3.9.post1") == "10.13.3"
    with pytest.raises(ValueError, match="three numbers"):
        release("10.3")
    with pytest.raises(ValueError, match="expected"):
        split_precision("fast")

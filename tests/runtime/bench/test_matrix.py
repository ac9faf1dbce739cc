"""The matrix over backends and precisions: what works, what does not and why, and what a stop leaves."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from runtime.bench import matrix
from runtime.bench.arguments import Options, parse
from runtime.bench.schema import Report
from runtime.bench.session import Say
from runtime.bundle import Bundle
from runtime.commands.stop import Interrupted, Stop
from runtime.engines import BACKENDS
from runtime.errors import BundleError, EngineError
from tests.runtime.bench.report.test_report import make_report

Answer = Report | type[BaseException]


@pytest.fixture
def measured(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Callable[..., matrix.Matrix]:
    """The matrix of the bundle's one precision, where each backend in turn gives one of these answers."""

    def run(*answers: Answer) -> matrix.Matrix:
        left = iter(answers)

        def session(options: Options, command: tuple[str, ...], stop: Stop, say: Say) -> Report:
            answer = next(left)
            if isinstance(answer, Report):
                return answer.model_copy(
                    update={"engine": answer.engine.model_copy(update={"backend": options.engine})}
                )
            raise answer(f"{options.engine} is not here")

        monkeypatch.setattr(matrix, "run_session", session)
        options = replace(parse(["--matrix", "--precision", "fp32"]), bundle=bundle.path)
        return matrix.run_matrix(options, ("bench",), Stop(), lambda line: None)

    return run


def test_what_cannot_load_is_left_out_with_its_reason(bundle: Bundle, measured: Callable[..., matrix.Matrix]) -> None:
    slow, quick = make_report(bundle, [20.0] * 800), make_report(bundle, [10.0] * 800)
    found = measured(slow, EngineError, quick)
    assert [report.engine.backend for report in found.reports] == [BACKENDS[0], BACKENDS[2]]
    assert found.left_out == (f"{BACKENDS[1]} fp32: {BACKENDS[1]} is not here",)
    content = json.loads(found.to_json())
    assert content["schema"] == "rop.bench-matrix/1"
    assert len(content["reports"]) == 2
    shown = io.StringIO()
    matrix.print_matrix(found, shown)
    lines = shown.getvalue().splitlines()
    rows = [line.split()[0] for line in lines if line.split()[1:2] == ["fp32"]]
    assert rows == [BACKENDS[2], BACKENDS[0]], "the fastest first"
    assert any(line.startswith("left out: ") for line in lines)


def test_nothing_that_works_is_an_error(measured: Callable[..., matrix.Matrix]) -> None:
    with pytest.raises(BundleError, match="is not here"):
        measured(EngineError, EngineError, EngineError)


def test_a_stop_leaves_what_was_measured(bundle: Bundle, measured: Callable[..., matrix.Matrix]) -> None:
    found = measured(make_report(bundle), Interrupted)
    assert len(found.reports) == 1
    with pytest.raises(Interrupted):
        measured(Interrupted)

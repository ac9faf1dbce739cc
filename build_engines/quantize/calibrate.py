"""INT8 by NVIDIA ModelOpt: a graph with explicit Q/DQ, its ranges from true inputs, still in fp32 between."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import onnx

from build_engines.errors import QuantizationError
from build_engines.quantize.inputs import Inputs, TrueInputs
from build_engines.quantize.layers import Layer

Method = Literal["max", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)


def quantize(graph: Path, layers: Sequence[Layer], inputs: TrueInputs, method: Method) -> onnx.ModelProto:
    """The fp32 graph with Q/DQ before every layer that is not kept, weights not yet rounded.

    Elementwise operations and LayerNorm take no Q/DQ: it would cost more than it saves. Raises `QuantizationError`
    when ModelOpt fails.
    """
    convolutions_only = not any(layer.name.endswith("/MatMul") for layer in layers)
    with quiet() as said, tempfile.TemporaryDirectory(prefix="quantize.") as folder:
        from modelopt.onnx.quantization import quantize as modelopt_quantize

        out = Path(folder) / "quantized.onnx"
        try:
            modelopt_quantize(
                shutil.copy(graph, folder),  # it writes beside what it reads
                quantize_mode="int8",
                calibration_data_reader=_reader(inputs),
                calibration_method=method,
                calibration_eps=["cpu"],
                # ModelOpt's own placement lets INT8 flow through pooling and concatenation of a plain convolutional
                # network; in a ConvNeXt it would also quantize residual sums, so there the layers are named by type.
                op_types_to_quantize=None if convolutions_only else ["Conv", "MatMul"],
                nodes_to_exclude=[f"{re.escape(layer.name)}$" for layer in layers if layer.kept],
                output_path=str(out),
                high_precision_dtype="fp32",
                log_level="WARNING",
                # Products of a vector are kept already (`layers.HEAD`); looking for them runs the network once more,
                # with every product's result as an output.
                enable_gemv_detection_for_trt=False,
            )
            return onnx.load(out)
        except Exception as error:  # whatever a calibrator can raise; the text is for the user
            last = [line for line in said.getvalue().splitlines() if line.strip()][-1:]
            raise QuantizationError(
                f"{graph.name}: ModelOpt could not quantize it: {type(error).__name__}: {error} {' '.join(last)}"
            ) from error


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """ModelOpt without its log on the screen; gives what it said. What it imports is quiet, too."""
    said = io.StringIO()
    level = logging.root.manager.disable
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield said
    finally:
        logging.disable(level)
        for handler in list(logging.getLogger("modelopt.onnx").handlers):  # they hold on to what was redirected
            logging.getLogger("modelopt.onnx").removeHandler(handler)


def _reader(inputs: TrueInputs) -> Any:
    """The inputs as ONNX Runtime's calibrators ask for them."""
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self.rewind()

        def get_next(self) -> Inputs | None:
            return next(self._left, None)

        def get_first(self) -> Inputs:
            return next(iter(inputs))

        def rewind(self) -> None:
            self._left = iter(inputs)

    return Reader()

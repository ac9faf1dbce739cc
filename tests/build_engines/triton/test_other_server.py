"""A server of another make that speaks KServe's protocol, version 2: MLServer, with this software as its model.

ROP_MLSERVER names its program, in an environment of its own (`pip install mlserver`; 1.7.1 was tried). It
has no question for a model's configuration, so all that says which bundle read is the mark of each answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.engines import load_engine
from runtime.engines.triton.contract import Tensor, contract_of
from runtime.errors import EngineError
from runtime.familiar import open_familiar
from runtime.outcome import Outcome
from runtime.screener import Screener
from tests.build_engines.triton.waiting import waited
from tests.ports import free_port

PROGRAM = os.environ.get("ROP_MLSERVER", "")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not PROGRAM, reason="ROP_MLSERVER names no mlserver program"),
]
MODEL = """
import os
import sys
sys.path += os.environ["ROP_SERVER_PACKAGES"].split(os.pathsep)
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from runtime.bundle import open_bundle
from runtime.engines import load_engine
from runtime.engines.triton.contract import ENCODED, MARK, mark_of


class RopModel(MLModel):
    async def load(self):
        bundle = open_bundle(os.environ["ROP_SERVED_BUNDLE"])
        self.engine = load_engine(bundle, "openvino", threads=1)
        sha256 = os.environ.get("ROP_SERVED_SHA256", bundle.sha256)
        self.mark = mark_of(sha256, self.engine.facts.precision)
        return True

    async def predict(self, asked):
        found = self.engine.infer(np.ascontiguousarray(NumpyCodec.decode_input(asked.inputs[0])))
        values = {
            "vessels": found.vessels[None, None],
            "probabilities": found.probabilities[None],
            "logits": found.logits[None],
            ENCODED: found.encoded[None],
            MARK: self.mark,
        }
        outputs = [NumpyCodec.encode_output(one.name, values[one.name]) for one in asked.outputs]
        return InferenceResponse(id=asked.id, model_name=self.name, model_version=self.version, outputs=outputs)
"""
Start = Callable[..., str]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEMONSTRATION)


@pytest.fixture
def started(tmp_path: Path, bundle: Bundle) -> Iterator[Start]:
    """Starts the server; gives its address. Keyword arguments are more of its environment."""
    known = open_familiar(bundle)
    contract = contract_of(bundle, encoded=None if known is None else known.mean.size)

    def described(tensor: Tensor) -> dict[str, Any]:
        return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}

    model = {
        "name": contract.model,
        "implementation": "rop_model.RopModel",
        "parameters": {"version": contract.version},
        "inputs": [described(contract.image)],
        "outputs": [described(tensor) for tensor in contract.outputs],
    }
    ports = {name: free_port() for name in ("http_port", "grpc_port", "metrics_port")}
    (tmp_path / "model-settings.json").write_text(json.dumps(model))
    (tmp_path / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    (tmp_path / "rop_model.py").write_text(MODEL)
    processes: list[subprocess.Popen[bytes]] = []

    def start(**more: str) -> str:
        packages = os.pathsep.join([str(Path(__file__).parents[3]), sysconfig.get_path("purelib")])
        surroundings = os.environ | {"ROP_SERVER_PACKAGES": packages, "ROP_SERVED_BUNDLE": str(bundle.path)} | more
        surroundings["PYTHONPATH"] = str(tmp_path)
        with (tmp_path / "log").open("ab") as log:
            call = [PROGRAM, "start", str(tmp_path)]
            processes.append(subprocess.Popen(call, env=surroundings, stdout=log, stderr=log))
        return f"triton://127.0.0.1:{ports['grpc_port']}"

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def test_it_reads_as_on_the_cart(bundle: Bundle, started: Start) -> None:
    config = SimulatedConfig(seed=5, size=(320, 320), frames_per_eye=10, faults=0.0)
    address = started()
    engine = waited(lambda: load_engine(bundle, address))
    assert "mlserver" in engine.facts.device
    with (
        Screener(bundle, engine=engine) as there,
        Screener(bundle, engine="openvino", threads=1) as here,
        SimulatedCamera(config) as camera,
    ):
        assert there.trust.self_test.state == "passed"
        for _ in range(10):
            frame = camera.read()
            assert frame is not None
            one, other = there.screen(frame), here.screen(frame)
            assert one.outcome is not Outcome.NO_RESULT
            assert (one.outcome, one.reason, one.probabilities) == (other.outcome, other.reason, other.probabilities)


def test_one_that_reads_with_another_bundle_is_refused(bundle: Bundle, started: Start) -> None:
    address = started(ROP_SERVED_SHA256="0" * 64)
    with pytest.raises(EngineError, match="is of bundle 000000000000"):
        waited(lambda: load_engine(bundle, address))

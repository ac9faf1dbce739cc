"""A real Triton server: its parser, its ensembles, and this software in its Python backend.

ROP_TRITONSERVER names the program, that of the wheel nvidia-pytriton unpacked (docs/reading-on-a-server.md), whose
stub for this Python lies in its `python_backend_stubs`. It has no backend for ONNX: for the ensemble each part is
exchanged for a Python model that runs the same file by OpenVINO; names, shapes, maps and batches stay as written.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from build_engines.triton.configs import read_text, text
from build_engines.triton.repository import Written, write_repository
from build_engines.triton.server_check import ServerRefuses, check_by_server
from build_engines.triton.settings import settings_for
from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.engines import load_engine
from runtime.outcome import Outcome
from runtime.screener import Screener
from tests.busy import BUSY_S
from tests.ports import free_port

PROGRAM = os.environ.get("ROP_TRITONSERVER", "")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not PROGRAM, reason="ROP_TRITONSERVER names no tritonserver program"),
]
PART = """
import os, site
for folder in os.environ["ROP_SERVER_PACKAGES"].split(os.pathsep):
    site.addsitedir(folder)
import sys
sys.path.sort(key=lambda path: "site-packages" not in path)
import json
import numpy as np
import openvino
import triton_python_backend_utils as server


class TritonPythonModel:
    def initialize(self, args):
        path = f"{args['model_repository']}/{args['model_version']}/model.onnx"
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        self.model = openvino.Core().compile_model(path, "CPU", exact)
        config = json.loads(args["model_config"])
        self.takes = [one["name"] for one in config["input"]]
        self.gives = [one["name"] for one in config["output"]]

    def execute(self, requests):
        return [self.one(request) for request in requests]

    def one(self, request):
        given = {name: np.from_dlpack(server.get_input_tensor_by_name(request, name)) for name in self.takes}
        found = self.model(given)
        named = {name: np.array(found[self.model.output(name)]) for name in self.gives}
        wanted = request.requested_output_names()
        return server.InferenceResponse([server.Tensor.from_dlpack(name, named[name]) for name in wanted])
"""


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEMONSTRATION)


@pytest.fixture(autouse=True)
def _server_can_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROP_SERVER_PACKAGES", sysconfig.get_path("purelib"))
    root = Path(PROGRAM).parents[1]
    stub = root / "python_backend_stubs" / "{}.{}".format(*sys.version_info) / "triton_python_backend_stub"
    beside = root / "backends" / "python" / stub.name
    if stub.is_file() and not beside.is_file():
        shutil.copy(stub, beside)
        beside.chmod(0o755)


class Server:
    """A server process on a repository; killed and started at will, always at one port."""

    def __init__(self, repository: Path, log: Path) -> None:
        self.port = free_port()
        self._repository, self._log = repository, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, model: str) -> None:
        command = [
            PROGRAM,
            f"--model-repository={self._repository}",
            f"--backend-directory={Path(PROGRAM).parents[1] / 'backends'}",
            "--allow-http=false",
            "--allow-metrics=false",
            "--disable-auto-complete-config",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self.port}",
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        from tritonclient.grpc import InferenceServerClient
        from tritonclient.utils import InferenceServerException

        end = time.monotonic() + 120
        with InferenceServerClient(f"127.0.0.1:{self.port}") as client:
            while True:
                there = time.monotonic() < end and self.process.poll() is None
                assert there, self._log.read_text()[-2000:]
                try:
                    if client.is_model_ready(model):
                        return
                except InferenceServerException:
                    pass
                time.sleep(0.2)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def written(bundle: Bundle, tmp_path: Path) -> Written:
    return write_repository(bundle, settings_for(bundle, backend="python", name="eye"), tmp_path / "models")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "models", tmp_path / "log")
    yield made
    made.kill()


def simulated(count: int) -> SimulatedCamera:
    return SimulatedCamera(SimulatedConfig(seed=5, size=(320, 320), frames_per_eye=(count + 1) // 2, faults=0.0))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_its_parser_understands_what_it_cannot_run(bundle: Bundle, tmp_path: Path, backend: str) -> None:
    repository = write_repository(bundle, settings_for(bundle, backend=backend), tmp_path / "models")
    found = check_by_server(repository, Path(PROGRAM))
    assert (found.ready, found.without_backend) == ((), repository.models)


def test_its_parser_refuses_what_is_wrong(written: Written) -> None:
    config = written.repository / "eye" / "config.pbtxt"
    right = config.read_text()
    for wrong in (f"{right}\nmax_batch_sise: 3", right.replace("TYPE_UINT8", "TYPE_UINT9"), 'platform: "ensemble"'):
        config.write_text(wrong)
        with pytest.raises(ServerRefuses, match="the server refuses model eye"):
            check_by_server(written, Path(PROGRAM))


def test_this_software_on_it_reads_as_on_the_cart_is_killed_and_taken_back(
    bundle: Bundle, written: Written, server: Server
) -> None:
    server.start("eye")
    with (
        Screener(bundle, engine=f"triton://127.0.0.1:{server.port}/eye") as there,
        Screener(bundle, engine="openvino", threads=2) as here,
        simulated(1000) as camera,
    ):
        assert there.trust.self_test.state == "passed"
        for _ in range(20):
            frame = camera.read()
            assert frame is not None
            one, other = there.screen(frame), here.screen(frame)
            assert (one.outcome, one.reason, one.probabilities) == (other.outcome, other.reason, other.probabilities)
        server.kill()
        frame = camera.read()
        assert frame is not None
        assert there.screen(frame).outcome is Outcome.NO_RESULT
        server.start("eye")
        until = time.monotonic() + BUSY_S
        while there.screen(frame).outcome is Outcome.NO_RESULT:
            assert time.monotonic() < until, "it is not taken back"
            time.sleep(0.3)
            frame = camera.read()
            assert frame is not None


def test_the_ensemble_reads_as_the_cart(bundle: Bundle, tmp_path: Path, server: Server) -> None:
    settings = settings_for(bundle, backend="onnxruntime", name="eye", batch=4)
    written = write_repository(bundle, settings, tmp_path / "models")
    for name in written.models[:-1]:
        path = written.repository / name / "config.pbtxt"
        config = read_text(path.read_text())
        config.backend, config.default_model_filename = "python", ""
        path.write_text(text(config).replace("KIND_AUTO", "KIND_CPU"))
        (written.repository / name / "1" / "model.py").write_text(PART)
    server.start("eye")
    with (
        load_engine(bundle, f"triton://127.0.0.1:{server.port}/eye") as there,
        load_engine(bundle, "openvino", "fp32", threads=2) as here,
    ):
        assert there.facts.precision == "fp32"
        rng = np.random.default_rng(1)
        for _ in range(4):
            image = rng.integers(0, 256, (1, 256, 256, 3), np.uint8)
            one, other = there.infer(image), here.infer(image)
            assert np.abs(one.probabilities - other.probabilities).max() < 1e-4
            assert np.abs(one.vessels - other.vessels).max() < 1e-4
            assert one.encoded is not None
            assert other.encoded is not None
            assert np.allclose(one.encoded, other.encoded, rtol=1e-3, atol=1e-4)

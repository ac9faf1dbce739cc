from __future__ import annotations

from pathlib import Path

import pytest

from runtime.cuda.errors import CudaError
from runtime.cuda.probe import probe

SOUND = """
__version__ = "10.3.0.26"
class Logger:
    ERROR = 1
    def __init__(self, severity): pass
class Runtime:
    def __init__(self, logger): print("chatter of the library")
"""
CRASHES = SOUND + "\nimport ctypes\nclass Runtime:\n    def __init__(self, logger): ctypes.string_at(0)\n"
RAISES = (
    SOUND + "\nclass Runtime:\n    def __init__(self, logger): raise TypeError('factory function returned nullptr')\n"
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in_driver: Path) -> Path:
    """Where to write a library of the child's; the driver stands in."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(stand_in_driver))
    return tmp_path / "tensorrt_of_a_test.py"


def test_gpu_and_library_are_found(library: Path) -> None:
    library.write_text(SOUND)
    found = probe("tensorrt_of_a_test")
    assert (found.gpu, found.compute_capability, found.driver) == ("Stand-in GPU", (8, 7), "12.6")
    assert found.library_version == "10.3.0.26"


def test_a_library_that_crashes_when_its_process_ends_is_fit(library: Path) -> None:
    library.write_text(SOUND + "\nimport atexit, ctypes\natexit.register(ctypes.string_at, 0)\n")
    assert probe("tensorrt_of_a_test").library_version == "10.3.0.26"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (CRASHES, r"tensorrt_of_a_test crashes when it is loaded \(SIGSEGV\); install"),
        (RAISES, r"10.3.0.26 gives no runtime: TypeError: factory function returned nullptr"),
        ("import nothing_of_that_name", r"cannot be imported: ModuleNotFoundError: No module named"),
        ("raise RuntimeError('libnvinfer.so.10 is missing')", r"cannot be imported: RuntimeError: libnvinfer"),
        ("answer = 42", r"is not NVIDIA's library: it has no Logger, Runtime, __version__"),
        ("raise SystemExit(3)", r"crashes when it is loaded \(exit code 3\)"),
    ],
)
def test_an_unfit_library_harms_the_child_alone(library: Path, source: str, message: str) -> None:
    library.write_text(source)
    with pytest.raises(CudaError, match=message) as caught:
        probe("tensorrt_of_a_test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"STAND_IN_CRASH": "1"}, r"the CUDA driver crashes when it is asked \(SIGABRT\)"),
        ({"STAND_IN_FAIL": "cuInit=100"}, r"cuInit: no CUDA-capable device is detected \(100\); look with nvidia-smi"),
        ({"STAND_IN_DEVICES": "0"}, r"the driver sees no GPU"),
    ],
)
def test_an_unfit_driver_is_told(
    library: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    library.write_text(SOUND)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CudaError, match=message):
        probe("tensorrt_of_a_test")


def test_no_driver_is_told(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    library.write_text(SOUND)
    with pytest.raises(CudaError, match=r"no NVIDIA driver on this machine \(libcuda.so.1 cannot be loaded\)"):
        probe("tensorrt_of_a_test")


def test_a_library_that_hangs_is_given_up(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.cuda.probe.TIMEOUT_S", 1.0)
    library.write_text("import threading\nthreading.Event().wait()")
    with pytest.raises(CudaError, match="gave no answer in 1 s"):
        probe("tensorrt_of_a_test")

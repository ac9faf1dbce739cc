"""`Settings`: how a server shall read a bundle, checked against the bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from build_engines.errors import BuildError
from runtime.bundle import Bundle
from runtime.engines.triton.contract import model_name
from runtime.plan_key import PlanKey, precision_word, split_precision
from runtime.plans import list_plans

Backend = Literal["tensorrt", "onnxruntime", "openvino", "python"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True)
class Settings:
    """What is to be written. Make it with `settings_for`."""

    backend: Backend
    """What of the server's runs the networks; `python` is this software, installed there."""
    name: str
    """Of the model."""
    precision: str
    """In the words of `precision_word`; `auto` with `python`, which then chooses on the server's machine."""
    plans: tuple[PlanKey, ...]
    """Of one TensorRT release and one precision, by architecture; empty but with `tensorrt`."""
    batch: int
    """Most frames that are read together; 1 reads them one by one."""
    instances: int
    """Of each network."""
    threads: int
    """Of the CPU, for each instance."""
    queue: int
    """Frames that may wait; one more is refused at once, and its cart knows."""
    wait_ms: float
    """Most that a frame may wait for its turn, unless its cart allows less."""

    @property
    def batched(self) -> bool:
        """Whether the server puts frames together, or queues them one by one; else the graphs' batch is fixed at 1."""
        return self.backend in ("onnxruntime", "python")


def settings_for(
    bundle: Bundle,
    *,
    backend: str = "auto",
    name: str = "",
    precision: str = "auto",
    plans: str = "",
    batch: int = 8,
    instances: int = 1,
    threads: int = 2,
    queue: int = 64,
    wait_ms: float = 1000.0,
) -> Settings:
    """What the words of a command line come to. Raises `BuildError` for what the bundle cannot give."""
    if backend == "auto":
        backend = "tensorrt" if any(key.library == "trt" for key in list_plans(bundle)) else "onnxruntime"
    chosen = next((known for known in BACKENDS if known == backend), None)
    if chosen is None:
        raise BuildError(f"--backend: got {backend!r}, expected auto, {', '.join(BACKENDS)}")
    if name and not _NAME.fullmatch(name):
        raise BuildError(f"--name: got {name!r}, expected letters, digits, dots, dashes and underscores")
    keys = _plans(bundle, chosen, precision, plans)
    word = keys[0].precision if keys else _precision(bundle, chosen, precision)
    one_by_one = chosen != "onnxruntime"
    return Settings(
        chosen, name or model_name(bundle), word, keys, 1 if one_by_one else batch, instances, threads, queue, wait_ms
    )


def _precision(bundle: Bundle, backend: Backend, asked: str) -> str:
    """fp32 where nothing is asked: what other runtimes make of INT8 graphs was not measured."""
    if asked == "auto":
        return "auto" if backend == "python" else precision_word(bundle.resolve_precision("triton", "auto"))
    try:
        pair = split_precision(asked)
    except ValueError as error:
        raise BuildError(f"--precision: {error}") from None
    for network, precision in pair.items():
        if precision not in bundle.precisions(network):
            held = ", ".join(bundle.precisions(network))
            raise BuildError(
                f"--precision {asked}: the bundle holds no {precision} graph of the {network}, only {held}"
            )
    if backend == "python" and len(set(pair.values())) > 1:
        raise BuildError(f"--precision {asked}: with --backend python name one for both networks, or leave it out")
    return precision_word(pair)


def _plans(bundle: Bundle, backend: Backend, precision: str, asked: str) -> tuple[PlanKey, ...]:
    """The plans that are named, or all of the one release and precision that there are."""
    if backend != "tensorrt":
        if asked:
            raise BuildError(f"--plans: --backend {backend} runs none; leave it out")
        return ()
    held = [key for key in list_plans(bundle) if key.library == "trt"]
    if asked:
        named = [word.strip() for word in asked.split(",")]
        if unknown := [word for word in named if word not in map(str, held)]:
            there = ", ".join(map(str, held)) or "none"
            raise BuildError(f"--plans: the bundle has no plan {unknown[0]}, but {there}")
        held = [key for key in held if str(key) in named]
    if precision != "auto":
        held = [key for key in held if key.precision == precision]
    if not held:
        raise BuildError(
            "the bundle has no such TensorRT plan; build it where the server runs: "
            "python -m build_engines BUNDLE --target tensorrt, or choose --backend onnxruntime"
        )
    if len({(key.version, key.precision) for key in held}) > 1 or len({key.architecture for key in held}) < len(held):
        raise BuildError(
            f"the bundle's plans are of several releases or precisions; name with --plans those of the server's "
            f"release of TensorRT, of {', '.join(map(str, held))}"
        )
    return tuple(held)

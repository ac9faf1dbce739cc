"""Backends, registered by name and loaded by name. A backend's code and library are imported when it is loaded.

A third one is a module with a `Backend` in it (`runtime.engines.base`) and one line of registration: in `_BUILT_IN`
here, by `register` from a program, or as an entry point of the group `rop_screening.engines` from another package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from runtime.engines.address import SEPARATOR, is_address, parse_address
from runtime.errors import EngineError, ScreeningError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.arrays import UInt8Array
    from runtime.bundle import Bundle
    from runtime.engines.base import Backend, Engine, LayerTime

T = TypeVar("T")

_BUILT_IN = {
    "tensorrt": "runtime.engines.tensorrt.load:TENSORRT",
    "tensorrt-rtx": "runtime.engines.tensorrt.load:TENSORRT_RTX",
    "triton": "runtime.engines.triton.engine:TRITON",
    "openvino": "runtime.engines.openvino.engine:OPENVINO",
}
"""In the order in which `auto` prefers them; the last one runs anywhere."""
BACKENDS = tuple(_BUILT_IN)
"""Those that come with the project; `backend_names` also tells of others."""
PRECISIONS = ("auto", "fp32", "fp16", "int8")
ENTRY_POINTS = "rop_screening.engines"
_registered: dict[str, str | Backend] = {}


def register(name: str, backend: str | Backend) -> None:
    """Make a backend known in this process. backend: a `Backend`, or `module:name` of one that is imported when used.

    A name that is taken is a `ValueError`: what a site trusts under a name stays what it was.
    """
    if name == "auto" or name in backend_names():
        raise ValueError(f"engine {name!r}: there is one of that name; choose another")
    _registered[name] = backend


def backend_names() -> tuple[str, ...]:
    """Every backend that is known here, in the order in which `auto` asks them; the last one runs anywhere."""
    *gpu, cpu = BACKENDS
    return (*gpu, *(name for name in (*_registered, *_installed()) if name not in BACKENDS), cpu)


def load_engine(bundle: Bundle, engine: str = "auto", precision: str = "auto", threads: int | None = None) -> Engine:
    """Load a bundle's networks into a backend.

    engine: `auto` takes TensorRT, TensorRT-RTX, or another backend that offers itself, when what it needs is there
    (library, driver, GPU, a plan that fits), and OpenVINO otherwise; `facts.why` of the engine tells the reason. A
    server is named by its address, `triton://HOST:PORT` (`runtime.engines.address`).
    threads: of the CPU, for backends that run there. Raises `EngineError` for an unknown or failing backend,
    `BundleError` when the bundle lacks the precision.
    """
    name = engine.partition(SEPARATOR)[0]
    if engine != "auto" and name not in BACKENDS and name not in backend_names():
        raise EngineError(f"engine {engine!r} is not known; expected auto or one of {', '.join(backend_names())}")
    if precision not in PRECISIONS:
        raise EngineError(f"precision {precision!r} is not known; expected one of {', '.join(PRECISIONS)}")
    if threads is not None and threads < 1:
        raise EngineError(f"threads: got {threads}, expected 1 or more")
    if engine != "auto":
        return _load(bundle, engine, precision, threads)
    against = []
    *first, last = backend_names()
    for name in first:
        try:
            backend = _backend(name)
            if not backend.auto:
                continue
            reason = _asked(name, partial(backend.missing, bundle))
            if not reason:
                return _load(bundle, name, precision, threads)
        except ScreeningError as error:
            reason = str(error)
        against.append(reason if reason.startswith(f"{name}:") else f"{name}: {reason}")
    loaded = _load(bundle, last, precision, threads)
    loaded.facts = replace(loaded.facts, why="; ".join(filter(None, (loaded.facts.why, *against))))
    return loaded


def load_precisions(bundle: Bundle, engine: str, precisions: Mapping[str, str], threads: int | None = None) -> Engine:
    """Load with a precision of its own for each network, by the network's name. engine: a backend's name.

    Raises what `load_engine` raises.
    """
    from runtime.engines.base import Engine

    name, backend = _found(engine)
    loaded = _asked(name, partial(backend.load, bundle, dict(precisions), threads))
    if not isinstance(loaded, Engine):
        raise EngineError(f"{name}: gave a {type(loaded).__name__}, expected an Engine; its package is at fault")
    return loaded


def layer_times(
    bundle: Bundle, engine: str, precision: str, threads: int | None, images: Sequence[UInt8Array]
) -> list[list[LayerTime]]:
    """The time of each layer for each image, by an engine of its own. engine: a backend's name.

    images: uint8 [1, 256, 256, 3] each, at least one. Raises `EngineError`, also where the backend tells none.
    """
    name, backend = _found(engine)
    layers = backend.layers
    if layers is None:
        raise EngineError(f"{name}: tells no times of layers; leave them out, or choose another engine")
    return _asked(name, partial(layers, bundle, _resolved(bundle, name, backend, precision)[0], threads, images))


def _resolved(bundle: Bundle, name: str, backend: Backend, precision: str) -> tuple[dict[str, str], str]:
    """The precision of each network that a backend would run, and where `auto` has it from."""
    precisions = bundle.resolve_precision(name, precision)
    if precision != "auto" or bundle.default_key(name) in bundle.manifest.default_precision:
        return precisions, f"the bundle's default for {bundle.default_key(name)}"
    found = _asked(name, partial(backend.there, bundle))
    if found is None:
        return precisions, f"the bundle names no default for {name}"
    return dict(found), "the plan that is there"


def _load(bundle: Bundle, engine: str, precision: str, threads: int | None) -> Engine:
    precisions, source = _resolved(bundle, *_found(engine), precision)
    loaded = load_precisions(bundle, engine, precisions, threads)
    if precision == "auto" and not loaded.facts.why:
        words = ", ".join(f"{network} {word}" for network, word in precisions.items())
        loaded.facts = replace(loaded.facts, why=f"{words}: {source}")
    return loaded


def _found(engine: str) -> tuple[str, Backend]:
    """Name and backend of an engine that is asked for by name, or by a server's address."""
    if not is_address(engine):
        return engine, _backend(engine)
    address = parse_address(engine)
    backend = _backend(address.backend)
    if backend.at is None:
        raise EngineError(f"engine {engine!r}: {address.backend} runs on this machine and takes no address")
    return address.backend, backend.at(address)


def _asked(name: str, ask: Callable[[], T]) -> T:
    """What a backend answers; whatever else its code raises is an `EngineError`, which `auto` goes on after."""
    try:
        return ask()
    except ScreeningError:
        raise
    except Exception as error:
        raise EngineError(f"{name}: failed as it was loaded ({type(error).__name__}: {error})") from error


def _backend(name: str) -> Backend:
    """The backend of that name, imported now; raises `EngineError` when what is registered is none."""
    from runtime.engines.base import Backend

    found = _BUILT_IN.get(name) or _registered.get(name) or _installed()[name]
    if isinstance(found, Backend):
        return found
    module, _, attribute = found.partition(":")
    try:
        backend = getattr(import_module(module), attribute)
    except Exception as error:  # the code of another package: whatever it raises, `auto` goes on without it
        raise EngineError(f"{name}: {found} cannot be imported ({type(error).__name__}: {error})") from error
    if not isinstance(backend, Backend):
        raise EngineError(f"{name}: {found} is a {type(backend).__name__}, expected a runtime.engines.base.Backend")
    return backend


@cache
def _installed() -> dict[str, str]:
    """What other packages offer by their entry points: name to `module:name`."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS) if entry.name != "auto"}

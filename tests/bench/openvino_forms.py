"""Prints what it is worth to change a bundle's graphs for OpenVINO: `python tests/bench/openvino_forms.py`.

Each form of the two graphs is an engine of its own. They read the same frames in turns of a few, of which the first are
not counted: the other's weights are then no longer in the caches. The form "as they are" lacks everything; each other
one lacks what its name says and has the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from runtime import open_bundle
from runtime.daemon.measure import pictures_of
from runtime.engines.openvino import graph as openvino_graph
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.preprocess import network_input

TURN, SETTLING = 12, 4
NOTHING: dict[str, Callable[..., Any]] = {
    "unsigned_after_relu": lambda model: 0,
    "merge_upsampling": lambda model: 0,
    "channels_last": lambda model: True,
    "pass_channels_last": lambda model, names, element_type: None,
    "move_gates": lambda segmentation, classifier, features: None,
    "branches_of": lambda model: None,
}
"""What stands for each change where it is not made."""
FORMS: dict[str, tuple[str, ...]] = {
    "as they are": tuple(NOTHING),
    "no channels last": ("channels_last", "pass_channels_last"),
    "no merged upsampling": ("merge_upsampling",),
    "gates in the classifier": ("move_gates",),
    "branches in turn": ("branches_of",),
    "as the engine runs them": (),
}


@contextmanager
def without(names: tuple[str, ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(openvino_graph, name, NOTHING[name]))
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle")
    parser.add_argument("--precision", nargs="+", default=["fp32", "fp16", "int8"])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--turns", type=int, default=12)
    options = parser.parse_args()
    bundle = open_bundle(options.bundle)
    images = [network_input(picture) for picture in pictures_of("sim:seed=3,size=640x480")]
    for precision in options.precision:
        engines: dict[str, OpenVINOEngine] = {}
        for form, names in FORMS.items():
            with without(names):
                both = dict.fromkeys(("segmentation", "classifier"), precision)
                engines[form] = OpenVINOEngine(bundle, both, options.threads)
        took: dict[str, list[tuple[float, float]]] = {form: [] for form in FORMS}
        for _ in range(options.turns):
            for form, engine in engines.items():
                for index in range(TURN):
                    found = engine.infer(images[index % len(images)])
                    if index >= SETTLING:
                        took[form].append((found.segment_ms, found.classify_ms))
        print(f"{precision}: {engines['as the engine runs them'].facts.device}")
        for form, times in took.items():
            (low, low_two), (middle, middle_two) = np.min(times, axis=0), np.median(times, axis=0)
            whole = np.median(np.sum(times, axis=1))
            print(
                f"  {form:26} segment {low:6.2f} (p50 {middle:6.2f})  classify {low_two:6.2f} (p50 {middle_two:6.2f})"
                f"  both p50 {whole:6.2f} ms"
            )
        for engine in engines.values():
            engine.close()


if __name__ == "__main__":
    main()

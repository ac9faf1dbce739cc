"""`python -m build_engines sensitivity BUNDLE`: what quantizing each block alone does, as a table and a picture."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

import onnx
from PIL import Image

from build_engines.arguments import sensitivity_parser
from build_engines.errors import BuildError
from build_engines.quantize.calibrate import quantize
from build_engines.quantize.graphs import require_frames
from build_engines.quantize.inputs import Runner, TrueInputs
from build_engines.quantize.layers import layers_of, require_names
from build_engines.quantize.qdq import inspect
from build_engines.quantize.sensitivity import BlockEffect, Judge, block_effects, draw_effects
from calibration import CalibrationError, CalibrationSet, open_set
from device.outputs import PUBLIC, write_whole, writing
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import aside
from runtime.commands.table import console_for, print_table
from runtime.errors import ScreeningError
from runtime.manifest import NETWORKS, graph_name


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(sensitivity_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        return _rank(arguments)
    except (BuildError, CalibrationError, ScreeningError, OSError) as error:
        aside(error)
        return 2


def _rank(arguments: argparse.Namespace) -> int:
    if arguments.judged < 1:
        raise BuildError(f"--judged: got {arguments.judged}, expected 1 or more")
    bundle = open_bundle(arguments.bundle)
    calibration = open_set(arguments.calibration)
    calibration.require_for(bundle)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, object]]] = {}
    for network in [arguments.network] if arguments.network else NETWORKS:
        effects = _effects(bundle, calibration, network, arguments)
        found[network] = [asdict(effect) for effect in effects]
        if not arguments.json:
            rows = [(e.block, str(len(e.layers)), f"{e.vessels:.5f}", f"{e.probabilities:.5f}") for e in effects]
            title = f"{network}: INT8 in one block alone"
            print_table(console_for(sys.stdout), ("block", "layers", "1 - Dice of vessels", "|dp|"), rows, title=title)
        if arguments.out is not None:
            picture = draw_effects(effects, f"{bundle.manifest.name}: {network}, blocks by what INT8 does to them")
            with writing(arguments.out / f"{network}.sensitivity.png", PUBLIC) as file:
                Image.fromarray(picture).save(file, "PNG")
            text = json.dumps(found[network], indent=1)
            write_whole(arguments.out / f"{network}.sensitivity.json", f"{text}\n".encode(), PUBLIC)
    if arguments.json:
        print(json.dumps(found))
    return 0


def _effects(
    bundle: Bundle, calibration: CalibrationSet, network: str, arguments: argparse.Namespace
) -> tuple[BlockEffect, ...]:
    graph = bundle.path / graph_name(network, "fp32")
    original = onnx.load_model_from_string(bundle.read(graph.name))
    require_names(original, graph.name)
    layers = layers_of(original)
    frames = calibration.frames()
    require_frames(min(len(frames), arguments.frames))
    segmentation = Runner(bundle.read(graph_name("segmentation", "fp32")))
    inputs = TrueInputs(frames[: arguments.frames], segmentation if network == "classifier" else None)
    aside(f"{network}: int8, finding ranges by {arguments.method} over {len(inputs)} frames")
    model = quantize(graph, layers, inputs, arguments.method)
    inspect(model, f"{network} by {arguments.method}")
    judge = Judge(network, segmentation, bundle.read(graph_name("classifier", "fp32")), frames[: arguments.judged])
    aside(f"{network}: int8 in one block after the other, on {arguments.judged} frames")
    return block_effects(model, layers, judge, aside)

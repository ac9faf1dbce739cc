"""`python -m build_engines ir BUNDLE`: the graphs as OpenVINO runs them, saved into a bundle that stands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from build_engines.arguments import ir_parser
from build_engines.errors import BuildError
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import aside
from runtime.cpu_class import CPU_CLASSES, cpu_class
from runtime.errors import ScreeningError
from runtime.manifest import NETWORKS, SavedGraphs
from runtime.plan_key import precision_word, split_precision
from runtime.trust.site import MANIFEST_SIGNATURE

FOLDER = "ir"
HALVES = {"avx2": ("f32",), "vnni": ("f32", "bf16"), "amx": ("bf16",)}
"""What half precision is on CPUs of a class: some with instructions for products of 8 bits have bf16, too."""
Report = Callable[[str], object]


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(ir_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        bundle = open_bundle(arguments.bundle)
        was_signed = (arguments.bundle / MANIFEST_SIGNATURE).exists()
        forms = [] if arguments.remove else _asked(bundle, arguments.cpu_class, arguments.precision)
        saved = save_graphs(bundle, forms, aside)
    except (BuildError, ScreeningError, OSError) as error:
        aside(error)
        return 2
    megabytes = {path: size / 1e6 for path, size in ((e.path, e.size) for e in saved.manifest.files)}
    for form in saved.manifest.saved_graphs:
        sys.stdout.write(
            f"{form.folder}: {', '.join(form.parts)}, {sum(megabytes[path] for path in form.paths):.1f} MB\n"
        )
    sys.stdout.write(
        f"{saved.path}: {len(saved.manifest.saved_graphs)} pairs of saved graphs, {sum(megabytes.values()):.1f} MB\n"
    )
    if was_signed:
        sys.stderr.write(f"its signature no longer fits and is gone; python -m build_engines sign {saved.path}\n")
    return 0


def save_graphs(
    bundle: Bundle, forms: Sequence[tuple[dict[str, str], str]], report: Report = lambda line: None
) -> Bundle:
    """Write the bundle again in its place with these saved graphs and no others; its signature is gone.

    forms: precision of each network, and the element type in which maps are handed on. Raises as `build_bundle`.
    """
    from build_engines.bundle import rewriting, written
    from runtime.engines.load_openvino import load_openvino

    openvino = load_openvino()
    draft = bundle.manifest.model_copy(update={"saved_graphs": ()})
    with rewriting(bundle, FOLDER) as folder:
        saved = []
        for precision, handed_on in forms:
            report(f"saving {precision_word(precision)}, maps handed on in {handed_on}")
            name = f"{FOLDER}/{precision_word(precision)}-{handed_on}"
            parts = _write(bundle, precision, handed_on, folder / name)
            facts = {"precision": precision, "handed_on": handed_on, "folder": name, "parts": parts}
            saved.append(SavedGraphs.model_validate({**facts, "openvino": openvino.__version__.split("-")[0]}))
        written(folder, draft.model_copy(update={"saved_graphs": tuple(saved)}))
    return open_bundle(bundle.path)


def _write(bundle: Bundle, precision: dict[str, str], handed_on: str, folder: Path) -> tuple[str, ...]:
    """Write the parts; gives their names."""
    from runtime.engines.load_openvino import load_openvino, open_core
    from runtime.engines.openvino.branches import branches_of
    from runtime.engines.openvino.graph import changed_pair

    first, second = changed_pair(open_core(), bundle, precision, handed_on)
    branches = branches_of(second)
    parts = {"segmentation": first}
    if branches is None:
        parts["classifier"] = second
    else:
        parts.update(raw=branches.raw, guided=branches.guided, head=branches.head)
    folder.mkdir(parents=True)
    for name, model in parts.items():
        load_openvino().save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
    return tuple(parts)


def _asked(bundle: Bundle, classes: str | None, precisions: str | None) -> list[tuple[dict[str, str], str]]:
    """What the words of the command line come to, each once."""
    own = cpu_class()
    named = [word.strip() for word in classes.split(",")] if classes else [own] if own else []
    unknown = [name for name in named if name not in CPU_CLASSES]
    if unknown or not named:
        got = repr(unknown[0]) if unknown else "none, and this CPU is of no known class"
        raise BuildError(f"--cpu-class: got {got}, expected {', '.join(CPU_CLASSES)}, with commas between")
    forms: list[tuple[dict[str, str], str]] = []
    for name in named:
        pairs = [_pair(bundle, word) for word in precisions.split(",")] if precisions else [_default(bundle, name)]
        for precision in pairs:
            for handed_on in ("f32",) if "fp32" in precision.values() else HALVES[name]:
                if (precision, handed_on) not in forms:
                    forms.append((precision, handed_on))
    return forms


def _default(bundle: Bundle, name: str) -> dict[str, str]:
    """What `--precision auto` runs on a CPU of that class."""
    defaults = bundle.manifest.default_precision
    found = defaults.get(f"openvino/{name}", defaults.get("openvino", {}))
    return {network: str(found.get(network, "fp32")) for network in NETWORKS}  # type: ignore[call-overload]


def _pair(bundle: Bundle, word: str) -> dict[str, str]:
    """`int8`, or segmentation and classifier with a plus."""
    try:
        pair = split_precision(word.strip())
    except ValueError as error:
        raise BuildError(f"--precision: {error}") from None
    for network, precision in pair.items():
        if precision not in bundle.precisions(network):
            held = ", ".join(bundle.precisions(network))
            raise BuildError(f"--precision {word}: the bundle holds no {precision} graph of the {network}, only {held}")
    return pair

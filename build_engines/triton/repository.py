"""Writes a bundle's models into a model repository, each whole before the server can see it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from build_engines.errors import BuildError
from build_engines.triton import configs
from build_engines.triton.graphs import check_batches, marking_graph, tensors_of, with_free_batch
from build_engines.triton.settings import Settings
from runtime.bundle import MANIFEST, Bundle
from runtime.commands.say import aside
from runtime.engines.base import ENCODED_FROM
from runtime.engines.triton.contract import (
    ENCODED,
    MARK,
    PARAMETERS_SCHEMA,
    Contract,
    Tensor,
    contract_of,
    parameters_of,
)
from runtime.manifest import graph_name
from runtime.plan_key import split_precision
from runtime.plans import PLANS, Plan, find_plan
from runtime.sinks.files import folder_aside

CONFIG = "config.pbtxt"
PYTHON_MODEL = '''"""Reads by rop-screening-runtime, which the server's Python needs; the bundle lies beside this file.

The server hides PYTHONPATH from its models: name the folder of packages, where it is another, in ROP_SERVER_PACKAGES.
"""

import os
import site
import sys

own = list(sys.path)
for folder in filter(None, os.environ.get("ROP_SERVER_PACKAGES", "").split(os.pathsep)):
    site.addsitedir(folder)
sys.path[:] = [*(path for path in sys.path if path not in own), *own]

from runtime.engines.triton.python_model import TritonPythonModel  # noqa: E402

__all__ = ["TritonPythonModel"]
'''


@dataclass(frozen=True)
class Written:
    """What lies in the repository now."""

    repository: Path
    name: str
    """Of the model that carts ask; the others are its parts."""
    version: str
    models: tuple[str, ...]


def write_repository(bundle: Bundle, settings: Settings, repository: Path) -> Written:
    """Write the models; those of the same names are replaced, others stay.

    Raises `BuildError` for a folder that is no repository, a model of the name that is not ours, or graphs that do not
    fit; `BundleError` and `IncompatiblePlan` as the bundle's files do; `OSError`.
    """
    _refuse_foreign(repository)
    repository.mkdir(parents=True, exist_ok=True)
    with folder_aside(repository, aside) as made:
        new = made / "new"
        models = _whole(bundle, settings, new) if settings.backend == "python" else _parts(bundle, settings, new)
        for name in models:
            _refuse_other(repository / name)
        for number, name in enumerate(models):  # the ensemble comes last, when its parts are there
            if (repository / name).exists():
                (repository / name).rename(made / f"old-{number}")
            (new / name).rename(repository / name)
    contract = contract_of(bundle, model=settings.name)
    return Written(repository, settings.name, contract.version, tuple(models))


def _parts(bundle: Bundle, settings: Settings, folder: Path) -> list[str]:
    """Both networks, what marks their answers, and the ensemble; gives their names in that order."""
    pair = split_precision(settings.precision)
    graphs = {network: bundle.graph(graph_name(network, precision)) for network, precision in pair.items()}
    if settings.batched:
        graphs = {network: with_free_batch(graph) for network, graph in graphs.items()}
    if settings.batch > 1:
        check_batches(**graphs)
    tensors = {network: tensors_of(graph) for network, graph in graphs.items()}
    maps = {name: _one(name, tensors["segmentation"]) for name in tensors["classifier"] if _handed_on(name)}
    if absent := sorted(set(ENCODED_FROM) - set(maps)):
        raise BuildError(f"bundle {bundle.path}: its segmentation gives no {absent[0]}; build the bundle again")
    contract = contract_of(bundle, model=settings.name, encoded=sum(maps[name].shape[1] for name in ENCODED_FROM))
    plans = [find_plan(bundle, key) for key in settings.plans]
    given = {tensor.name: tensor for tensor in contract.outputs}
    segmentation = ([contract.image], list(maps.values()))
    classifier = ([contract.image, *maps.values()], [given["probabilities"], given["logits"]])
    steps = []
    for network, (inputs, outputs) in (("segmentation", segmentation), ("classifier", classifier)):
        name = f"{settings.name}-{network}"
        own = _own_names(plans, network)
        steps.append((name, _map(inputs, own), _map(outputs, own)))
        config = configs.network(
            name,
            contract.version,
            settings,
            [replace(tensor, name=own.get(tensor.name, tensor.name)) for tensor in inputs],
            [replace(tensor, name=own.get(tensor.name, tensor.name)) for tensor in outputs],
            _of_file(bundle, network, pair[network]),
            files=_plan_files(plans) or None,
        )
        content = _plan_contents(plans, network) if plans else {"model.onnx": graphs[network]}
        _model(folder / name, contract.version, config, content)
    name = f"{settings.name}-mark"
    taken = [maps[tensor] for tensor in ENCODED_FROM]
    marks = [given[ENCODED], given[MARK]]
    shapes = {tensor.name: ((-1 if settings.batched else 1), *tensor.shape[1:]) for tensor in taken}
    runs = "onnxruntime" if settings.backend == "tensorrt" else settings.backend
    config = configs.network(name, contract.version, settings, taken, marks, {}, backend=runs)
    _model(
        folder / name,
        contract.version,
        config,
        {"model.onnx": marking_graph(shapes, bundle.sha256, settings.precision)},
    )
    steps.append((name, _map(taken, {}), _map(marks, {})))
    config = configs.ensemble(
        settings.name,
        contract.version,
        settings,
        contract.image,
        contract.outputs,
        steps,
        parameters_of(bundle, settings.precision),
    )
    _model(folder / settings.name, contract.version, config, {})
    return [*(model for model, _, _ in steps), settings.name]


def _whole(bundle: Bundle, settings: Settings, folder: Path) -> list[str]:
    """One model that reads by this software, with the bundle in it."""
    from runtime.familiar import open_familiar

    known = open_familiar(bundle)
    contract: Contract = contract_of(bundle, model=settings.name, encoded=None if known is None else known.mean.size)
    stated = "" if settings.precision == "auto" else settings.precision
    config = configs.network(
        settings.name,
        contract.version,
        settings,
        [contract.image],
        contract.outputs,
        parameters_of(bundle, stated),
    )
    files = {"model.py": PYTHON_MODEL.encode()}
    for entry in bundle.manifest.files:
        files[f"bundle/{entry.path}"] = bundle.read(entry.path)
    files[f"bundle/{MANIFEST}"] = (bundle.path / MANIFEST).read_bytes()
    _model(folder / settings.name, contract.version, config, files)
    if (bundle.path / PLANS).is_dir():
        shutil.copytree(bundle.path / PLANS, folder / settings.name / contract.version / "bundle" / PLANS)
    return [settings.name]


def _model(folder: Path, version: str, config: Any, files: Mapping[str, bytes]) -> None:
    (folder / version).mkdir(parents=True)
    for name, content in files.items():
        path = folder / version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / CONFIG).write_text(configs.text(config), encoding="utf-8")


def _handed_on(name: str) -> bool:
    return name == "vessels" or name.startswith("features_")


def _one(name: str, tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> Tensor:
    """Of one frame, whatever the graph's batch."""
    if name not in tensors:
        raise BuildError(f"the classifier takes {name}, which the segmentation does not give; build the bundle again")
    datatype, shape = tensors[name]
    return Tensor(name, datatype, (1, *shape[1:]))


def _map(tensors: list[Tensor], own: Mapping[str, str]) -> dict[str, str]:
    return {own.get(tensor.name, tensor.name): tensor.name for tensor in tensors}


def _own_names(plans: list[Plan], network: str) -> dict[str, str]:
    """What a plan calls the graphs' tensors, where that is something else."""
    for plan in plans:
        return dict(next(one.tensors for one in plan.manifest.plans if one.name == network))
    return {}


def _plan_files(plans: list[Plan]) -> dict[str, str]:
    """File names by compute capability: `8.7` for sm87."""
    found = {}
    for plan in plans:
        number = plan.key.architecture.removeprefix("sm")
        found[f"{number[:-1]}.{number[-1]}"] = f"model.{plan.key.architecture}.plan"
    return found


def _plan_contents(plans: list[Plan], network: str) -> dict[str, bytes]:
    name = "segmentation" if network == "segmentation" else "classifier"
    return {f"model.{plan.key.architecture}.plan": plan.read(name) for plan in plans}  # type: ignore[arg-type]


def _of_file(bundle: Bundle, network: str, precision: str) -> dict[str, str]:
    wanted = graph_name(network, precision)
    graph = next(entry.sha256 for entry in bundle.manifest.files if entry.path == wanted)
    return {"bundle_sha256": bundle.sha256, "precision": precision, "graph_sha256": graph}


def _refuse_foreign(repository: Path) -> None:
    if repository.is_symlink() or (repository.exists() and not repository.is_dir()):
        raise BuildError(f"--out {repository}: is not a folder; name a new folder or a model repository")
    if (repository / MANIFEST).exists() or (repository / CONFIG).exists():
        raise BuildError(f"--out {repository}: is a bundle or a model, not a repository of models; name its own folder")


def _refuse_other(model: Path) -> None:
    """Never replace a model that this software did not make."""
    if not model.exists() and not model.is_symlink():
        return
    try:
        config = configs.read_text((model / CONFIG).read_text(encoding="utf-8"))
        ours = "bundle_sha256" in config.parameters or model.name.endswith("-mark")
    except (OSError, ValueError, text_format.ParseError):
        ours = False
    if model.is_symlink() or not ours:
        raise BuildError(f"{model}: is there and not of {PARAMETERS_SCHEMA}; take it away, or choose another --name")

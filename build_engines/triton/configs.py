"""The models' configurations, as messages of Triton's own definition, which come with the package `tritonclient`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from build_engines.triton.settings import Settings
from runtime.engines.triton.contract import Tensor

_TYPES = {"UINT8": "TYPE_UINT8", "FP32": "TYPE_FP32"}
_KINDS = {"tensorrt": "KIND_GPU", "onnxruntime": "KIND_AUTO", "openvino": "KIND_CPU", "python": "KIND_CPU"}


def text(config: Any) -> str:
    """`config.pbtxt`."""
    return str(text_format.MessageToString(config))


def read_text(content: str) -> Any:
    """The message that a `config.pbtxt` spells. Raises `text_format.ParseError`."""
    return text_format.Parse(content, model_config_pb2.ModelConfig())


def network(
    name: str,
    version: str,
    settings: Settings,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str],
    *,
    files: Mapping[str, str] | None = None,
    backend: str = "",
) -> Any:
    """One network, or all of them in one with `python`.

    inputs, outputs: of one frame, [1, ...]. files: by the GPU's compute capability; None for `model.onnx`. backend: in
    place of the settings'.
    """
    backend = backend or settings.backend
    batched = settings.batched
    config = model_config_pb2.ModelConfig(name=name, backend=backend, max_batch_size=settings.batch if batched else 0)
    for kept, tensors in ((config.input, inputs), (config.output, outputs)):
        for tensor in tensors:
            kept.add(name=tensor.name, data_type=_TYPES[tensor.datatype], dims=tensor.shape[batched:])
    if backend == "onnxruntime" or backend == "openvino":
        config.default_model_filename = "model.onnx"
    if files:
        config.cc_model_filenames.update(files)
        config.default_model_filename = next(iter(files.values()))
    kind = "KIND_CPU" if backend == "python" else _KINDS[settings.backend]
    config.instance_group.add(count=settings.instances, kind=kind)
    config.version_policy.specific.versions.append(int(version))
    if batched:
        queue = config.dynamic_batching
        # Nobody waits to be read with others: who comes while the instances are busy is.
        queue.max_queue_delay_microseconds = 0
        policy = queue.default_queue_policy
        policy.timeout_action = model_config_pb2.ModelQueuePolicy.TimeoutAction.REJECT
        policy.default_timeout_microseconds = int(settings.wait_ms * 1000)
        policy.allow_timeout_override = True
        policy.max_queue_size = settings.queue
    for size in sorted({1, settings.batch}):
        warm = config.model_warmup.add(name=f"{size} at once", batch_size=size if batched else 1)
        for tensor in inputs:
            given = warm.inputs[tensor.name]
            given.data_type = model_config_pb2.DataType.Value(_TYPES[tensor.datatype])
            given.dims.extend(tensor.shape[batched:])
            given.zero_data = True
    for key, value in {**_backend_parameters(settings, backend), **parameters}.items():
        config.parameters[key].string_value = value
    return config


def ensemble(
    name: str,
    version: str,
    settings: Settings,
    image: Tensor,
    outputs: Sequence[Tensor],
    steps: Sequence[tuple[str, Mapping[str, str], Mapping[str, str]]],
    parameters: Mapping[str, str],
) -> Any:
    """Image in, probabilities and vessels out.

    steps: model, what its inputs are called in the ensemble, and its outputs.
    """
    batched = settings.batched
    config = model_config_pb2.ModelConfig(
        name=name, platform="ensemble", max_batch_size=settings.batch if batched else 0
    )
    config.input.add(name=image.name, data_type=_TYPES[image.datatype], dims=image.shape[batched:])
    for tensor in outputs:
        config.output.add(name=tensor.name, data_type=_TYPES[tensor.datatype], dims=tensor.shape[batched:])
    for model, taken, given in steps:
        step = config.ensemble_scheduling.step.add(model_name=model, model_version=int(version))
        step.input_map.update(taken)
        step.output_map.update(given)
    config.version_policy.specific.versions.append(int(version))
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    return config


def _backend_parameters(settings: Settings, backend: str) -> dict[str, str]:
    if backend == "onnxruntime":
        return {"intra_op_thread_count": str(settings.threads)}
    if backend == "openvino":
        return {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(settings.threads)}
    return {"threads": str(settings.threads)} if backend == "python" else {}

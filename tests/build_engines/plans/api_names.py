"""Which names of TensorRT's Python API a source uses, on which class, and which of them it asks for with `hasattr`.

A small flow of types: `trt` is the module; what its classes' methods return is in `RETURNS`; untyped parameters bear
the names in `PARAMETERS`; the rest follows from assignments. What cannot be resolved is not counted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

MODULE = ""
"""The module itself, in the tables and here."""
MODULE_NAMES = {"trt", "_trt"}
PARAMETERS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
}
RETURNS = {
    ("Builder", "create_network"): "INetworkDefinition",
    ("Builder", "create_builder_config"): "IBuilderConfig",
    ("Builder", "create_optimization_profile"): "IOptimizationProfile",
    ("Builder", "build_serialized_network"): "IHostMemory",
    ("INetworkDefinition", "get_layer"): "ILayer",
    ("INetworkDefinition", "get_input"): "ITensor",
    ("INetworkDefinition", "get_output"): "ITensor",
    ("ILayer", "get_output"): "ITensor",
    ("ILayer", "get_output_type"): "DataType",
    ("IBuilderConfig", "create_timing_cache"): "ITimingCache",
    ("IBuilderConfig", "get_timing_cache"): "ITimingCache",
    ("ITimingCache", "serialize"): "IHostMemory",
    ("Runtime", "deserialize_cuda_engine"): "ICudaEngine",
    ("ICudaEngine", "create_execution_context"): "IExecutionContext",
    ("ICudaEngine", "create_execution_context_without_device_memory"): "IExecutionContext",
    ("ICudaEngine", "create_engine_inspector"): "EngineInspector",
    ("ICudaEngine", "get_tensor_dtype"): "DataType",
    ("ICudaEngine", "get_tensor_mode"): "TensorIOMode",
    ("IExecutionContext", "engine"): "ICudaEngine",
    ("OnnxParser", "get_error"): "ParserError",
}
OF_EVERY_ENUM = {"name", "value"}


@dataclass(frozen=True)
class Use:
    """One name, used on a class (or on the module)."""

    owner: str
    name: str
    line: int
    guarded: bool
    """The same function asks `hasattr` (or `getattr` with a default) for it."""


@dataclass
class _Scope:
    types: dict[str, str] = field(default_factory=dict)
    guards: set[str] = field(default_factory=set)


def uses(source: str, classes: set[str]) -> list[Use]:
    """All resolvable uses in a source. classes: names of TensorRT's classes, of any version."""
    tree = ast.parse(source)
    module = _Scope(dict.fromkeys(MODULE_NAMES, MODULE))
    _assigned(tree, module, classes)
    return sorted(set(_walk(tree, module, classes)), key=lambda use: (use.line, use.owner, use.name))


def _walk(node: ast.AST, scope: _Scope, classes: set[str]) -> Iterator[Use]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _walk(child, _function_scope(child, scope, classes), classes)
            continue
        if isinstance(child, ast.Attribute):
            owner = _type(child.value, scope, classes)
            if owner is not None and not child.attr.startswith("__"):
                yield Use(owner, child.attr, child.lineno, child.attr in scope.guards)
        if isinstance(child, ast.Call) and (name := _named(child, "getattr", 2)) is not None:
            owner = _type(child.args[0], scope, classes)
            if owner is not None:
                yield Use(owner, name, child.lineno, name in scope.guards)
        yield from _walk(child, scope, classes)


def _function_scope(function: ast.FunctionDef | ast.AsyncFunctionDef, outer: _Scope, classes: set[str]) -> _Scope:
    scope = _Scope(dict(outer.types), set(outer.guards))
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    for argument in arguments:
        untyped = argument.annotation is None or ast.unparse(argument.annotation) == "Any"
        scope.types.pop(argument.arg, None)
        if untyped and argument.arg in MODULE_NAMES:
            scope.types[argument.arg] = MODULE
        elif untyped and argument.arg in PARAMETERS:
            scope.types[argument.arg] = PARAMETERS[argument.arg]
    scope.guards |= {name for node in ast.walk(function) for name in _guard(node)}
    _assigned(function, scope, classes)
    return scope


def _guard(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        names = (_named(node, "hasattr", 2), _named(node, "getattr", 3))
        yield from (name for name in names if name is not None)


def _named(call: ast.Call, function: str, arguments: int) -> str | None:
    """The attribute that such a call names by a constant."""
    if not (isinstance(call.func, ast.Name) and call.func.id == function and len(call.args) == arguments):
        return None
    return str(call.args[1].value) if isinstance(call.args[1], ast.Constant) else None


def _assigned(tree: ast.AST, scope: _Scope, classes: set[str]) -> None:
    """Types of names and of `self.` attributes, from what is assigned to them; twice, for uses before assignments."""
    for _ in range(2):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                found = _type(node.value, scope, classes)
                if found is not None:
                    scope.types[ast.unparse(node.targets[0])] = found


def _type(node: ast.expr, scope: _Scope, classes: set[str]) -> str | None:
    """The class that an expression is, or is an instance of: members are the same for both."""
    if isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node) in scope.types:
        return scope.types[ast.unparse(node)]
    if isinstance(node, ast.Attribute):
        owner = _type(node.value, scope, classes)
        if owner == MODULE and node.attr in classes:
            return node.attr
        return RETURNS.get((owner, node.attr)) if owner else None
    if isinstance(node, ast.Call):
        if _is_import(node):
            return MODULE
        if isinstance(node.func, ast.Attribute):
            owner = _type(node.func.value, scope, classes)
            if owner == MODULE and node.func.attr in classes:
                return node.func.attr
            return RETURNS.get((owner, node.func.attr)) if owner else None
    return None


def _is_import(node: ast.Call) -> bool:
    told = ast.unparse(node)
    return ast.unparse(node.func).endswith("import_module") and "tensorrt" in told and "torch_tensorrt" not in told

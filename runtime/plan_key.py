"""What a plan is bound to, `sm87-trt10.3.0-int8`: GPU architecture, library with its version, precisions."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runtime.manifest import NETWORKS

Library = Literal["trt", "rtx"]
PlanName = Literal["segmentation", "classifier", "raw", "guided"]
"""Both networks; or the segmentation and the two parts of the classifier, its raw and its guided branch."""
WHOLE: tuple[PlanName, ...] = ("segmentation", "classifier")
SPLIT: tuple[PlanName, ...] = ("segmentation", "raw", "guided")

MODULES: Mapping[Library, str] = {"trt": "tensorrt", "rtx": "tensorrt_rtx"}
"""Python module of each library."""
TITLES: Mapping[Library, str] = {"trt": "TensorRT", "rtx": "TensorRT-RTX"}
TARGETS: Mapping[Library, str] = {"trt": "tensorrt", "rtx": "tensorrt-rtx"}
"""Name of each library as `--target` and as a backend."""

_KEY = re.compile(
    r"(?P<architecture>sm\d{2,3})-(?P<library>trt|rtx)(?P<version>\d+\.\d+\.\d+)"
    r"-(?P<precision>[a-z0-9+]+)"
)


@dataclass(frozen=True)
class PlanKey:
    """What a plan is bound to; `str(key)` is its folder's name, `sm87-trt10.3.0-int8`."""

    architecture: str
    """Compute capability of the GPU, `sm87` for 8.7."""
    library: Library
    version: str
    """Of the library, three numbers: NVIDIA's fourth differs between packages of one release."""
    precision: str
    """`int8`, or the segmentation's and the classifier's where they differ: `int8+fp16`."""

    def __post_init__(self) -> None:
        match = _KEY.fullmatch(str(self))
        if match is None or match["library"] != self.library:
            raise ValueError(f"plan key {self}: expected one like sm87-trt10.3.0-int8 or sm86-rtx1.7.1-int8+fp16")
        split_precision(self.precision)

    def __str__(self) -> str:
        return f"{self.architecture}-{self.library}{self.version}-{self.precision}"

    @classmethod
    def parse(cls, text: str) -> PlanKey:
        """The key that a folder's name spells. Raises ValueError when it spells none."""
        match = _KEY.fullmatch(text)
        if match is None:
            raise ValueError(f"plan key {text!r}: expected one like sm87-trt10.3.0-int8 or sm86-rtx1.7.1-int8+fp16")
        library: Library = "trt" if match["library"] == "trt" else "rtx"
        return cls(match["architecture"], library, match["version"], match["precision"])

    @property
    def precisions(self) -> dict[str, str]:
        """Precision of each network, as `Bundle.resolve_precision` gives it."""
        return split_precision(self.precision)


def precision_word(precisions: Mapping[str, str]) -> str:
    """The key's word for the networks' precisions: `int8`, or `int8+fp16` where they differ."""
    return "+".join(dict.fromkeys(precisions[network] for network in NETWORKS))


def split_precision(word: str) -> dict[str, str]:
    """Precision of each network from the key's word. Raises ValueError for another word."""
    parts = word.split("+")
    if len(parts) > 2 or len(set(parts)) != len(parts) or not set(parts) <= {"fp32", "fp16", "int8"}:
        raise ValueError(f"precision {word!r}: expected fp32, fp16, int8, or two that differ, like int8+fp16")
    return {"segmentation": parts[0], "classifier": parts[-1]}


def architecture_name(major: int, minor: int) -> str:
    """`sm87` for compute capability 8.7, `sm120` for 12.0."""
    return f"sm{major}{minor}"


def release(version: str) -> str:
    """The first three numbers of a library's version: `10.3.0` of `10.3.0.26`."""
    match = re.match(r"\d+\.\d+\.\d+", version)
    if match is None:
        raise ValueError(f"library version {version!r}: expected three numbers or more, like 10.3.0")
    return match.group()


def host_platform() -> str:
    """Operating system and processor, `linux-x86_64`: plans do not move between them."""
    return f"{platform.system()}-{platform.machine()}".lower()

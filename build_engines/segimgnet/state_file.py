"""What lies in a checkpoint's file: tensors by name, without what training tools wrap around them; no code is run."""

from __future__ import annotations

import contextlib
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from build_engines.errors import CheckpointError

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "module", "ema_state_dict", "ema")
"""Names under which a training's file keeps the network, the likeliest first; what else it keeps is left aside."""
COUNTERS = ("n_averaged",)
"""Tensors of `torch.optim.swa_utils.AveragedModel` that are no weights."""
LANDMARKS = ("convNeXt_raw_stem.0.weight", "Conv_1x1.weight")
"""Keys that tell where the network's own names begin."""
RESAVE = "save it again where it was trained with torch.save(model.state_dict(), PATH)"
SNIFFED = 512
FOLDER = 0x10
"""Of a ZIP entry's external attributes (APPNOTE.TXT 4.4.15, the MS-DOS directory byte)."""
BETWEEN = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of names that PyTorch's own wrappers put in wherever they wrap: DataParallel, compile, FSDP, checkpointing."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in a file by the network's own names. Raises `CheckpointError` for a file that has none."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint (.pkl, .pth or .pt) written by torch.save")
    _require_whole(path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged or hostile pickle can fail in any way
        raise CheckpointError(_unreadable(path, error)) from error
    content = _unwrapped(content, path)
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path}: holds {_what(content)}, expected a state_dict of named tensors")
    strange = [(key, value) for key, value in content.items() if not (isinstance(key, str) and _plain_tensor(value))]
    if strange:
        key, value = strange[0]
        raise CheckpointError(f"{path}: {key!r} holds {_what(value)}, expected a state_dict of named dense tensors")
    return _without_prefix(_without_wrappers(content, path), path)


def _unwrapped(content: Any, path: Path) -> Any:
    """What lies in the dicts of a training's file. Raises `CheckpointError` where several of them hold a network."""
    while isinstance(content, dict):
        held = [key for key in WRAPPERS if isinstance(content.get(key), dict)]
        networks = [key for key in held if _holds_network(content[key])]
        if len(networks) > 1:
            names = ", ".join(repr(key) for key in networks)
            raise CheckpointError(f"{path}: holds several networks, under {names}; save the one that is meant alone")
        if not held:
            break
        content = content[(networks or held)[0]]
    return content


def _holds_network(content: object) -> bool:
    """Whether it holds tensors by name, itself or within one of the wrappers' dicts."""
    if not isinstance(content, dict):
        return False
    own = any(isinstance(value, Tensor) and getattr(value, "ndim", 0) > 1 for value in content.values())
    return own or any(_holds_network(content.get(key)) for key in WRAPPERS)


def _without_wrappers(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The names without the parts of `BETWEEN`, wherever they stand. Raises `CheckpointError` where two become one."""
    plain = {".".join(part for part in key.split(".") if part not in BETWEEN): value for key, value in state.items()}
    if len(plain) < len(state):
        raise CheckpointError(f"{path}: holds several networks, some of them wrapped; save the one that is meant alone")
    return plain


def _without_prefix(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The names without what comes before all of them, and without counters that averaging keeps beside."""
    before = {
        key.removesuffix(mark).removesuffix("seg_Net.")
        for key in state
        for mark in LANDMARKS
        if key == mark or key.endswith("." + mark)
    }
    if len(before) > 1:
        names = ", ".join(sorted(repr(name) for name in before))
        raise CheckpointError(f"{path}: holds several networks, under {names}; save the one that is meant alone")
    prefix = before.pop() if before else ""
    own = {key: value for key, value in state.items() if key.split(".")[-1] not in COUNTERS}
    return {key.removeprefix(prefix): value for key, value in own.items()}


def _require_whole(path: Path) -> None:
    """Refuse what is no checkpoint by its first bytes, and an archive whose checksums do not fit."""
    try:
        with path.open("rb") as file:
            start = file.read(SNIFFED)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    told = _foreign(start)
    if told:
        raise CheckpointError(f"{path}: {told}")
    try:
        if not zipfile.is_zipfile(path):
            return  # torch's format before 1.6, which has no checksums
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip() or _unlike_a_file(archive)
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive can fail in any way, also in its packing
        raise CheckpointError(f"{path}: damaged ({error}); copy it again from where it was saved") from None
    if damaged is not None:
        raise CheckpointError(
            f"{path}: damaged, the checksum or directory entry of {damaged} does not fit; copy it again from where it "
            "was saved"
        )


def _unlike_a_file(archive: zipfile.ZipFile) -> str | None:
    """An entry that Python reads and PyTorch's own reader takes for something else; None without one.

    Of an entry that is marked as a folder PyTorch reads nothing, and its tensor is whatever lay in memory. Of two of
    one name each reader takes its own.
    """
    entries = archive.infolist()
    seen: set[str] = set()
    for entry in entries:
        if entry.is_dir() or entry.external_attr & FOLDER or entry.filename in seen:
            return entry.filename
        seen.add(entry.filename)
    return None


def _foreign(start: bytes) -> str:
    """What a file is that begins so, where that is no checkpoint of any kind; nothing otherwise."""
    text = start.lstrip().lower()
    if not start:
        return "not a readable checkpoint but an empty file; copy it again from where it was saved"
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the checkpoint itself; fetch it: git lfs pull"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not a checkpoint: the download was answered with one; download it as a file, logged in"
    if text.startswith(b"{"):
        return "JSON, not a checkpoint; the description (.json) lies beside the checkpoint (.pth)"
    packed = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    for magic, name in packed.items():
        if start.startswith(magic):
            return f"packed with {name}; unpack it first"
    return ""


def _unreadable(path: Path, error: Exception) -> str:
    foreign: list[str] = []
    with contextlib.suppress(Exception):  # this only words the refusal; a damaged file cannot be asked
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    if foreign:
        return f"{path}: needs code to be unpickled ({', '.join(foreign[:3])}), expected tensors only; {RESAVE}"
    text = str(error).strip() or type(error).__name__
    told = re.search(
        r"(?:Trying to load unsupported|Unsupported) [^\n]+", text
    )  # torch buries the reason in advice to load unsafely
    reason = (told.group() if told else text).splitlines()[0].split(". ")[0][:160]
    return f"{path}: not a readable checkpoint, truncated or not tensors only ({reason}); {RESAVE}"


def _what(value: object) -> str:
    if isinstance(value, dict):
        return "an empty dict"
    if isinstance(value, Tensor):
        return f"a {value.layout} tensor on {value.device}"
    return f"a {type(value).__name__}"


def _plain_tensor(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"

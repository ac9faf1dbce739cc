"""Writing a set: aside first, then in place by renaming, so that there is never half of one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calibration.errors import CalibrationError
from calibration.facts import SET_FILE
from runtime.commands.say import aside as say_aside
from runtime.sinks.files import folder_aside, replace_folder


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `out` when the block ends well, and is removed when it does not.

    Raises `CalibrationError` when `out` is something else than a set, or cannot be written.
    """
    _refuse_foreign(out)
    try:
        with folder_aside(out, say_aside) as aside:
            yield aside
            aside.chmod(0o755)
            replace_folder(out, aside)
    except OSError as error:
        raise CalibrationError(
            f"--out {out}: cannot be written ({error.strerror or error}); free space there or name another folder"
        ) from error


def set_text(content: Mapping[str, Any]) -> str:
    """The JSON text: one line for each part and for each frame, so that people can read and compare it."""
    parts = []
    for name, value in content.items():
        if name == "frames":
            text = "[\n    " + ",\n    ".join(json.dumps(frame) for frame in value) + "\n  ]"
        else:
            text = json.dumps(value)
        parts.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _refuse_foreign(out: Path) -> None:
    """Never replace what is not a set."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise CalibrationError(f"--out {out}: is not a folder; name a new folder or a set to replace")
    if out.is_dir() and any(out.iterdir()) and not (out / SET_FILE).is_file():
        raise CalibrationError(f"--out {out}: holds files but no {SET_FILE}, so it is no set; name another folder")

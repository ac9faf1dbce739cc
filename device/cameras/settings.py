"""`CameraSettings`: the base of a driver's typed configuration, and its text form `key=value,key=value`."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from device.errors import SettingRefused
from device.refused_value import refused_value
from device.schemes import shown_source
from device.secrets import hide_secrets, shortened


class CameraSettings(BaseModel):
    """A frozen set of settings; a name that is not among them is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _refused(spec: str, what: str) -> SettingRefused:
    return SettingRefused(f"{shown_source(spec)!r}: {hide_secrets(what)}")


S = TypeVar("S", bound=CameraSettings)


def parse_settings(kind: type[S], text: str, *, spec: str, **known: Any) -> S:
    """The settings in `text` (`width=1280,height=960`, may be empty) and those already `known`.

    `spec` is what the user wrote, for messages. Raises `SettingRefused`.
    """
    values: dict[str, Any] = dict(known)
    for part in text.split(",") if text else []:
        key, equals, value = part.partition("=")
        if not equals or key not in kind.model_fields or key in known:
            names = ", ".join(name for name in kind.model_fields if name not in known)
            told = "=***" not in spec and part in shown_source(spec)  # else it may be the rest of a password
            shown = f" {shortened(part)!r}" if told else ""
            raise _refused(spec, f"unknown setting{shown}; expected {names}")
        if key in values:
            raise _refused(spec, f"{key} is set twice; expected it once")
        values[key] = value
    return build_settings(kind, values, spec=spec)


def build_settings(kind: type[S], values: dict[str, Any], *, spec: str) -> S:
    """The settings from their values, texts or numbers; raises `SettingRefused` with what was expected."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "settings"
        raise _refused(spec, f"{where}: {refused_value(first)}") from None

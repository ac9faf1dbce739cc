"""`cart.toml`: one file for what a cart is, read by every command that has `--config`, and by the cart itself.

`parse_with_config` is light; pydantic is imported when a file is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.config.command_line import CONFIG_HELP, parse_with_config

if TYPE_CHECKING:
    from runtime.config.cart_file import (
        BundleSection,
        CameraSection,
        CartConfig,
        ExamSection,
        LightSection,
        SiteSection,
        TimingSection,
        WebSection,
        load_config,
    )

__all__ = [
    "CONFIG_HELP",
    "BundleSection",
    "CameraSection",
    "CartConfig",
    "ExamSection",
    "LightSection",
    "SiteSection",
    "TimingSection",
    "WebSection",
    "load_config",
    "parse_with_config",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'runtime.config' has no attribute {name!r}")
    from runtime.config import cart_file

    return getattr(cart_file, name)

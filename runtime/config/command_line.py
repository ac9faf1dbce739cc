"""`--config FILE`: the options of a command that its line leaves out come from `cart.toml`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigUnusable

if TYPE_CHECKING:
    from runtime.config.cart_file import CartConfig

CONFIG_HELP = "the cart's cart.toml: what the command line leaves out comes from it"
_FLAG = "--config"


def parse_with_config(parser: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse; an option that is given stands, one that is left out comes from the file that `--config` names.

    The parser gets the option, as do those of its verbs. A file that cannot be used ends the program with code 2, as
    a wrong option does.
    """
    for one in _all_of(parser):
        if not any(action.dest == "config" for action in one._actions):
            one.add_argument(_FLAG, type=Path, metavar="FILE", help=CONFIG_HELP)
    words = _words(argv)
    path = _named(words)
    if path is not None:
        from runtime.config.cart_file import load_config

        try:
            config = load_config(path)
        except ConfigUnusable as error:
            parser.exit(2, f"{parser.prog}: {error}\n")
        for one in _all_of(parser):
            _fill(one, options_of(config))
    return parser.parse_args(words)


def options_of(config: CartConfig) -> dict[str, Any]:
    """What the file says, by the names that commands give their options; without what it leaves open."""
    camera, light = config.camera, config.light
    found: dict[str, Any] = {
        "journal": config.journal,
        "key_file": config.key_file,
        "anchor": list(config.anchors) or None,
        "operator": config.operator or None,
        "station": config.station or None,
        "source": camera.source if camera else None,
        "still": camera.still or None if camera else None,
        "budget_ms": camera.budget_ms if camera else None,
        "bundle": config.bundle.folder,
        "engine": None if config.bundle.engine == "auto" else config.bundle.engine,
        "precision": None if config.bundle.precision == "auto" else config.bundle.precision,
        "site_profile": config.site.profile,
        "trusted_keys": config.site.trusted_keys,
        "site": config.site.dicom,
        "light": light,
    }
    if "views" in config.exam.model_fields_set:
        found["views"] = config.exam.views
    if "retakes" in config.exam.model_fields_set:
        found["retakes"] = config.exam.retakes
    return {name: value for name, value in found.items() if value is not None}


def _words(argv: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if argv is None else argv)


def _named(words: Sequence[str]) -> Path | None:
    """What `--config` names; what is wrong with it is told by the parser."""
    for number, word in enumerate(words):
        if word == "--":
            return None
        if word == _FLAG and number + 1 < len(words):
            return Path(words[number + 1])
        if word.startswith(f"{_FLAG}="):
            return Path(word.removeprefix(f"{_FLAG}="))
    return None


def _all_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser and those of its verbs, each once."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from dict.fromkeys(one for verb in action.choices.values() for one in _all_of(verb))


def _fill(parser: argparse.ArgumentParser, options: dict[str, Any]) -> None:
    for action in parser._actions:
        if action.dest not in options or isinstance(action, argparse._SubParsersAction):
            continue
        if not action.option_strings:
            if action.dest != "source" or action.nargs not in (None, "?"):
                continue
            action.nargs = "?"
        action.default, action.required = options[action.dest], False

"""Every number that an option of any command takes is a number: no `1_000`, no `nan`, no digits of another script.

And every path is one: nothing, as of a variable that was never set, is not the folder one stands in.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from device.command_parser import CommandParser
from device.numbers import strict_float, strict_int
from tests.test_commands_help import COMMANDS

MODULES = sorted({command.split()[0] for command in COMMANDS} | {"build_engines.peer"})
NO_NUMBERS = (
    "1_000",
    "1_0.5",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "1e999",
    "１２",
    "٤٢",
    "²",
    " 1",
    "1\n",
    "0x1",
    "",
)


class Parsed(Exception):
    """In the place of what a parser would give."""


def parsers(module: str) -> Iterator[argparse.ArgumentParser]:
    """The parsers of a command and of its verbs, as its own lines make them."""
    main = importlib.import_module(module if module == "build_engines.peer" else f"{module}.__main__").main
    for words in ([], *([command.split()[1:]] for command in COMMANDS if command.split()[0] == module)):
        seen: list[argparse.ArgumentParser] = []

        def parse(parser: argparse.ArgumentParser, *_: object, seen: list[argparse.ArgumentParser] = seen) -> None:
            seen.append(parser)
            raise Parsed

        with pytest.MonkeyPatch.context() as patch, suppress(Parsed, SystemExit):
            patch.setattr(argparse.ArgumentParser, "parse_known_args", parse)
            main([*words[0], "--nothing"] if words else ["--nothing"])
        for parser in seen:
            yield from with_verbs(parser)


def with_verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from with_verbs(verb)


def takes(parser: argparse.ArgumentParser, action: argparse.Action, text: str) -> object:
    """What the option makes of a text; None where it refuses it."""
    try:
        return parser._get_value(action, text)
    except argparse.ArgumentError:
        return None


@pytest.mark.parametrize("module", MODULES)
def test_options_take_no_text_that_python_alone_calls_a_number(module: str) -> None:
    found = list(parsers(module))
    assert found
    assert all(isinstance(parser, CommandParser) for parser in found)
    numbers = {
        (parser.prog, action.dest): (parser, action)
        for parser in found
        for action in parser._actions
        if any(type(takes(parser, action, text)) in (int, float) for text in ("1", "0.5", "64", "1h"))
    }
    assert numbers or module in ("runtime.fleet",), module
    for where, (parser, action) in numbers.items():
        assert [text for text in NO_NUMBERS if takes(parser, action, text) is not None] == [], where


@pytest.mark.parametrize("module", MODULES)
def test_options_take_nothing_for_no_path(module: str) -> None:
    paths = {
        (parser.prog, action.dest): (parser, action)
        for parser in parsers(module)
        for action in parser._actions
        if isinstance(takes(parser, action, "folder/file.json"), Path)
    }
    assert paths
    for where, (parser, action) in paths.items():
        assert [text for text in ("", " ", "\n") if takes(parser, action, text) is not None] == [], where
        assert takes(parser, action, ".") == Path(), where


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_number(text: str) -> None:
    for read in (strict_int, strict_float):
        with pytest.raises(ValueError, match="expected a"):
            read(text)


@pytest.mark.parametrize("text", ["0", "1", "+1", "-2", "007"])
def test_whole_number(text: str) -> None:
    assert (strict_int(text), strict_float(text)) == (int(text), float(text))


@pytest.mark.parametrize("text", ["0.5", ".5", "5.", "1e3", "-1.5E-3", "+2.0"])
def test_number(text: str) -> None:
    assert strict_float(text) == float(text)

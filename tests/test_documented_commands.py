"""Every command that a page shows is one that the program takes: parsed, not run, by the command's own parser."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import itertools
import re
import shlex
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("runtime", "device", "calibration", "build_engines", "tests")
PYTHON = r"(?:\.venv/bin/)?python3? "
CALL = re.compile(rf"{PYTHON}(-m [a-z_]+(?:\.[a-z_]+)*|tests/[a-z_/]+\.py)(.*)")
MAKE = re.compile(r"(?:^|[`\s])make ((?:[A-Z_]+=\S+ )*)([a-z][a-z-]*)\b")
END = re.compile(r"\s(?:#|>|\||&|2>)|[;,](?:\s|$)")
"""Where a shell's command ends: a comment, a pipe, another command."""
NUMBERS = {"S": "5", "LEVEL": "10", "N": "1", "$i": "1"}
"""Placeholders that stand for a number."""


@dataclass(frozen=True)
class Shown:
    """One command of a page."""

    page: str
    line: int
    module: str
    """`runtime.screen`, or a script's path."""
    words: tuple[str, ...]
    whole: bool
    """In a block, to be typed as it stands; else named in a sentence, a table or with `...` for what is left out."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.module} {' '.join(self.words)}"


class Parsed(Exception):
    """The parser took it."""


def pages() -> list[Path]:
    found = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = found.stdout.split() or [str(path.relative_to(ROOT)) for path in ROOT.glob("*.md")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def code_lines(text: str) -> Iterator[tuple[int, str, bool]]:
    """Number, text and whether it stands in a block; lines that end in a backslash come joined."""
    fenced, held, start = False, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        block = fenced or line.startswith("    ")
        start = start if held else number
        held += line.strip() if block else line
        if block and held.endswith("\\"):
            held = held[:-1]
            continue
        yield start, held, block
        held = ""


def commands_of(page: Path) -> Iterator[Shown]:
    name = str(page.relative_to(ROOT))
    for number, line, block in code_lines(page.read_text(encoding="utf-8")):
        for code in [line] if block else re.findall(r"`([^`]+)`", line):
            found = CALL.search(code)
            if found and (shown := _shown(name, number, found, block)):
                yield shown


def _shown(page: str, line: int, found: re.Match[str], block: bool) -> Shown | None:
    target = found.group(1).removeprefix("-m ")
    if target.split(".")[0].split("/")[0] not in OURS:
        return None
    rest = END.split(found.group(2))[0]
    words = shlex.split(rest.replace("[", " ").replace("]", " "))
    plain = [NUMBERS.get(word, word).split("|")[0] for word in words if word not in ("...", "|")]
    return Shown(page, line, target, tuple(plain), block and "..." not in words and bool(plain))


SHOWN = [shown for page in pages() for shown in commands_of(page)]
OURS_SHOWN = [shown for shown in SHOWN if not shown.module.startswith("tests") and shown.page != "CHANGELOG.md"]
"""The changelog names what is gone, too."""


def helped(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints its help, and ends well."""
    try:
        code = parse(module, words, monkeypatch)
    except SystemExit as ended:
        code = ended.code
    assert code in (0, None)


def parse(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Raises `Parsed` when the command's parser takes the words; else what the command returns."""
    taken = argparse.ArgumentParser.parse_args

    def parse_only(self: argparse.ArgumentParser, *given: object, **named: object) -> object:
        taken(self, *given, **named)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    package = importlib.util.find_spec(f"{module}.__main__") if _is_package(module) else None
    command = importlib.import_module(f"{module}.__main__" if package else module)
    if module == "build_engines":
        monkeypatch.setattr(importlib.import_module("build_engines.__main__"), "NEEDS", {}, raising=True)
    if not hasattr(command, "main") and words == ["--help"]:
        return None  # a script without options
    return command.main(words)


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _holds_files(words: tuple[str, ...]) -> bool:
    """A configuration that is shown by name is read while parsing, and is not here."""
    return "--config" in words


@pytest.mark.parametrize("shown", [shown for shown in OURS_SHOWN if shown.whole], ids=str)
def test_a_command_in_a_block_is_one_that_the_program_takes(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    words = list(shown.words)
    if _holds_files(shown.words):
        del words[words.index("--config") : words.index("--config") + 2]
    if "--help" in words:
        helped(shown.module, words, monkeypatch)
        return
    with pytest.raises(Parsed):
        parse(shown.module, words, monkeypatch)


@pytest.mark.parametrize("shown", [shown for shown in OURS_SHOWN if not shown.whole], ids=str)
def test_what_a_sentence_names_exists(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs = [word for word in shown.words[:1] if re.fullmatch("[a-z][a-z-]*", word)]
    helped(shown.module, [*verbs, "--help"], monkeypatch)
    usage = capsys.readouterr().out
    for word in shown.words:
        if word.startswith("--"):
            assert word.split("=")[0] in usage, f"{shown}: no such option"


@pytest.mark.parametrize("shown", [shown for shown in SHOWN if shown.module.startswith("tests")], ids=str)
def test_a_script_that_a_page_names_exists_and_has_its_options(shown: Shown) -> None:
    path = ROOT / (shown.module if "/" in shown.module else shown.module.replace(".", "/") + ".py")
    if not path.is_file():
        path = path.with_suffix("") / "__main__.py"
    assert path.is_file(), f"{shown}: no such script"
    text = "".join(part.read_text(encoding="utf-8") for part in {path, *path.parent.glob("*.py")})
    for word in shown.words:
        if word.startswith("--"):
            assert f'"{word.split("=")[0]}"' in text, f"{shown}: no such option"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for number, line, block in code_lines(page.read_text(encoding="utf-8")):
        for code in [line] if block else re.findall(r"`([^`]+)`", line):
            for _, target in MAKE.findall(code if code.lstrip().startswith("make") else ""):
                assert target in targets, f"{page.relative_to(ROOT)}:{number}: make {target}: no such target"


def test_pages_and_installed_commands_are_found() -> None:
    """What finds commands finds some, and every installed command stands on a page."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    modules = {line.partition("=")[2].strip().partition(":")[0].removesuffix(".__main__") for line in scripts if line}
    assert modules - {shown.module for shown in OURS_SHOWN} == set()
    assert sum(shown.whole for shown in OURS_SHOWN) > 50


@pytest.mark.parametrize("script", sorted({shown.module for shown in SHOWN if shown.module.endswith(".py")}))
def test_a_script_that_a_page_starts_by_its_path_finds_what_it_imports(script: str) -> None:
    """Python looks beside the script alone: what takes from `tests` at its beginning is started by `-m`."""
    body = ast.parse((ROOT / script).read_text(encoding="utf-8")).body
    before = itertools.takewhile(lambda node: not ast.unparse(node).startswith("sys.path.insert("), body)
    imported = [node.module or "" for node in before if isinstance(node, ast.ImportFrom)]
    assert [module for module in imported if module.split(".")[0] == "tests"] == []

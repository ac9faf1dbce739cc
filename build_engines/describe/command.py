"""`python -m build_engines describe`: a template of the description, its validator, and the card for Hugging Face."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
from functools import cache
from itertools import pairwise, zip_longest
from pathlib import Path

from build_engines.arguments import describe_parser
from build_engines.card import CARD, model_card
from build_engines.description import LARGEST, Description, gaps, load_description, says_nothing, template
from build_engines.errors import BuildError
from build_engines.huggingface import hugging_face_card
from build_engines.report.store import read_report
from device.checked_file import read_whole, strict_json
from device.outputs import PUBLIC, write_whole
from runtime.bundle import Bundle, open_bundle
from runtime.checked_json import model_from
from runtime.commands.say import aside, say
from runtime.commands.text import printable
from runtime.errors import ScreeningError
from runtime.manifest import Manifest, Stated

MOST_CLASSES = 100
SHOWN = 80
"""Characters of a line."""
UNSTATED = "clinical_use is true, and nothing is stated of how it was made or how good it is"


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(describe_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        return _describe(arguments)
    except (BuildError, ScreeningError, OSError) as error:
        aside(error)
        return 2


def _describe(arguments: argparse.Namespace) -> int:
    if arguments.path is None:
        if arguments.add is not None or arguments.hugging_face:
            raise BuildError("describe: --add and --hugging-face are for a PATH; name a description or a bundle")
        if not 2 <= arguments.classes <= MOST_CLASSES:
            raise BuildError(f"--classes: got {arguments.classes}, expected 2 to {MOST_CLASSES}")
        _write(template(arguments.classes), arguments.out)
        return 0
    if arguments.path.is_dir():
        return _bundle(open_bundle(arguments.path), arguments)
    if arguments.hugging_face:
        raise BuildError(f"--hugging-face: {arguments.path} is no bundle; the card needs what was built")
    described = load_description(arguments.path)
    if arguments.add is not None:
        described = _added(described, arguments.add)
        described.save(arguments.out or arguments.path)
    _say(described.name, described.version, described.stated, arguments.json, clinical_use=described.clinical_use)
    return 0


def _bundle(bundle: Bundle, arguments: argparse.Namespace) -> int:
    manifest: Manifest = bundle.manifest
    if arguments.add is not None:
        raise BuildError("--add: a bundle is described by the file that it is built from; add to that, build again")
    if arguments.hugging_face:
        report = read_report(bundle) if manifest.parity_report else None
        _require_own_card(bundle, model_card(manifest, report))
        _write(hugging_face_card(manifest, report), arguments.out)
        return 0
    _say(manifest.name, manifest.version, manifest.stated, arguments.json, clinical_use=manifest.clinical_use)
    return 0


def _require_own_card(bundle: Bundle, made: str) -> None:
    """Raise `BuildError` where the bundle's card is not what its manifest makes: one of the two was changed.

    What a card says of strangers stands behind.
    """
    path = bundle.path / CARD
    if not path.is_file():
        raise BuildError(f"--hugging-face: {path} is not there, by which the manifest's figures are held; build again")
    stated, expected = path.read_text(encoding="utf-8", errors="replace").splitlines(), made.splitlines()
    number, (says, makes) = next(
        (
            (number, lines)
            for number, lines in enumerate(zip_longest(stated[: len(expected)], expected, fillvalue=""), 1)
            if lines[0] != lines[1]
        ),
        (0, ("", "")),
    )
    if number:
        raise BuildError(
            f"--hugging-face: {path}, line {number}: says {printable(says)[:SHOWN]!r}, the manifest makes it "
            f"{printable(makes)[:SHOWN]!r}; the manifest was changed after the card was made, or by another version: "
            f"build the bundle again"
        )


def _added(described: Description, path: Path) -> Description:
    """The description with what a file states; what it does not state stays."""
    try:
        text = read_whole(path, LARGEST)
        if wrong := says_nothing(strict_json(text)):
            raise BuildError(f"--add {path}: {wrong}")
        more = model_from(Stated, text)
    except ValueError as error:
        raise BuildError(f"--add {path}: {error}; expected an object as `stated` in a description") from None
    said = {name: getattr(more, name) for name in Stated.model_fields if getattr(more, name)}
    return described.model_copy(update={"stated": described.stated.model_copy(update=said)})


def _say(name: str, version: str, stated: Stated, as_json: bool, *, clinical_use: bool) -> None:
    missing = gaps(stated)
    warnings = [UNSTATED] if clinical_use and len(missing) == len(Stated.model_fields) else []
    if as_json:
        print(json.dumps({"name": name, "version": version, "not_stated": missing, "warnings": warnings}))
        return
    say(
        printable(
            f"{name} {version}: valid; {len(Stated.model_fields) - len(missing)} of {len(Stated.model_fields)} stated"
        )
    )
    for warning in warnings:
        say(f"  warning: {warning}")
    for field in missing:
        say(f"  not stated: {field}: {questions()[field]}")


@cache
def questions() -> dict[str, str]:
    """What each field of `Stated` is asked, as it says itself under its name."""
    body = ast.parse(inspect.getsource(Stated)).body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: " ".join(words.value.value.split())
        for field, words in pairwise(body.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(words, ast.Expr) and isinstance(words.value, ast.Constant) and isinstance(words.value.value, str)
    }


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
    elif out.exists():
        raise BuildError(f"--out {out}: is there already; name a new file")
    else:
        try:
            write_whole(out, text.encode(), PUBLIC)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise BuildError(
                f"--out {out}: cannot be written ({reason}); name a file in a folder that is there"
            ) from None

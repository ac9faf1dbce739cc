"""What a command's parser repeats of a line shows no password, and nothing acts on the terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device.command_parser import CommandParser

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("verb", [[], ["go"]])
@pytest.mark.parametrize(
    "word",
    ["rtsp://u:Sesame@h/x", "--still=http://h/x?pwd=Sesame", "gstreamer:rtspsrc user-pw=Sesame ! appsink", "\x1b]0;x"],
)
def test_what_is_not_understood_is_said_safely(verb: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = CommandParser(prog="p")
    parser.add_subparsers().add_parser("go").add_argument("--size", choices=["1"])
    for line in ([*verb, word], [*verb, "--size", word]):
        with pytest.raises(SystemExit) as ended:
            parser.parse_args(line)
        said = capsys.readouterr().err
        assert ended.value.code == 2
        assert "Sesame" not in said
        assert "\x1b" not in said


def test_every_command_has_that_parser() -> None:
    others = [
        str(path.relative_to(ROOT))
        for room in ("device", "runtime", "build_engines", "calibration")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "command_parser.py"
        and re.search(r"ArgumentParser\(\s*(?!\))", path.read_text(encoding="utf-8"))
    ]
    assert others == []

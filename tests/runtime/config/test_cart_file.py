"""`cart.toml`: what is read, what is refused and how it is told, and who obeys it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.config import CartConfig, load_config
from runtime.config.cart_file import PATHS_OF
from runtime.dicom.commands.arguments import parse as dicom_parse
from runtime.errors import ConfigUnusable
from runtime.exam.__main__ import main as exam
from runtime.exam.commands.arguments import parse as exam_parse
from runtime.screen.arguments import parse as screen_parse
from runtime.views import View

WHOLE = """
schema = "rop.cart/1"
station = "cart 1"
operator = "anna"
journal = "exams"
key_file = "cart.key"
[camera]
source = "sim:seed=4"
budget_ms = 700
[light]
port = "simulated"
flash_us = 2000
flash_level = 100
timing = { exposure_ms = 15 }
[bundle]
folder = "model"
engine = "openvino"
[site]
profile = "site.profile"
trusted_keys = "/etc/keys"
dicom = "dicom.json"
[exam]
views = ["disc-centred", "temporal"]
retakes = 1
"""


@pytest.fixture
def cart_toml(tmp_path: Path) -> Path:
    path = tmp_path / "cart.toml"
    path.write_text(WHOLE)
    return path


def test_paths_are_taken_from_the_folder_of_the_file(cart_toml: Path) -> None:
    config = load_config(cart_toml)
    assert (config.journal, config.key_file) == (cart_toml.parent / "exams", cart_toml.parent / "cart.key")
    assert config.site.trusted_keys == Path("/etc/keys")
    assert config.light is not None
    assert config.light.timing is not None
    assert config.light.timing.uncertainty_ms == 0.5
    assert load_config(cart_toml).model_dump() == config.model_dump()


def test_the_example_of_the_readme_is_one(tmp_path: Path) -> None:
    readme = Path(__file__).parents[3] / "runtime/config/README.md"
    (tmp_path / "cart.toml").write_text(readme.read_text().split("```toml\n")[1].split("```")[0])
    assert load_config(tmp_path / "cart.toml").exam.views == tuple(View)


WRONG = {
    "no schema": ("station = 'x'", "schema: is missing"),
    "other schema": ('schema = "rop.cart/9"', "schema: got 'rop.cart/9', expected 'rop.cart/1'"),
    "unknown key": ('schema = "rop.cart/1"\njurnal = "x"', "jurnal: no such key"),
    "unknown key of a table": ('schema = "rop.cart/1"\n[camera]\nsource = "x"\nsize = 3', "camera.size: no such key"),
    "number for a path": ('schema = "rop.cart/1"\njournal = 7', "journal: "),
    "no source": ('schema = "rop.cart/1"\n[camera]\nbudget_ms = 5', "camera.source: is missing"),
    "budget": ('schema = "rop.cart/1"\n[camera]\nsource = "x"\nbudget_ms = -5', "camera.budget_ms: "),
    "not finite": ('schema = "rop.cart/1"\n[camera]\nsource = "x"\nbudget_ms = inf', "camera.budget_ms: "),
    "view": ('schema = "rop.cart/1"\n[exam]\nviews = ["macula"]', "exam.views.0: "),
    "view twice": ('schema = "rop.cart/1"\n[exam]\nviews = ["nasal", "nasal"]', "exam.views: "),
    "true for a version": (
        'schema = "rop.cart/1"\n[light]\nport = "simulated"\nprotocol = true',
        "light.protocol: got true, expected a whole number",
    ),
    **{
        f"{value} for {key} of {table}": (
            f'schema = "rop.cart/1"\n[{table}]\n{more}{key} = {value}',
            f"{table}.{key}: got",
        )
        for table, more, key, values in (
            ("web", "", "address", ("2020-01-01", "07:30:00", "2020-01-01T07:30:00Z")),
            ("camera", 'source = "x"\n', "budget_ms", ("1e300", "1000000001")),
            ("light.timing", "", "exposure_ms", ("1e300",)),
        )
        for value in values
    },
    "table for a value": ('schema = "rop.cart/1"\n[station]\nx = 1', "station: "),
    "value for a table": ('schema = "rop.cart/1"\ncamera = "x"', "camera: "),
    "no TOML": ("schema = ", "is no TOML"),
    "no text": ("\udcff", "is no TOML"),
}


@pytest.mark.parametrize("given", ["", " "])
@pytest.mark.parametrize(
    "key", [*(f"{table}.{key}".lstrip(".") for table in PATHS_OF for key in PATHS_OF[table]), "anchors"]
)
def test_no_path_is_not_the_folder_of_the_file(tmp_path: Path, key: str, given: str) -> None:
    """Its *.pem would be the keys that the site trusts."""
    table = key.rpartition(".")[0]
    needed = {"light": 'light.port = "simulated"\n'}.get(table, "")
    value = f'["{given}"]' if key == "anchors" else f'"{given}"'
    (tmp_path / "cart.toml").write_text(f'schema = "rop.cart/1"\n{needed}{key} = {value}\n')
    with pytest.raises(ConfigUnusable, match=rf"{key}\S*: .*got '{given}', expected a path; leave the line out"):
        load_config(tmp_path / "cart.toml")


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_by_its_key(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "cart.toml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigUnusable) as raised:
        load_config(path)
    assert said in str(raised.value)
    assert str(raised.value).startswith("cart.toml: ")


def numbers(schema: dict[str, Any], part: dict[str, Any], path: str = "") -> Iterator[str]:
    """Every key of the file that is a number, as `light.timing.exposure_ms`."""
    for name, told in part["properties"].items():
        for one in (told, *told.get("anyOf", ())):
            if one.get("type") in ("integer", "number"):
                yield f"{path}{name}"
            if "$ref" in one and "properties" in (deeper := schema["$defs"][one["$ref"].rpartition("/")[2]]):
                yield from numbers(schema, deeper, f"{path}{name}.")


NEEDED = {"camera": 'camera.source = "sim:"\n', "light": 'light.port = "simulated"\n'}


@pytest.mark.parametrize("given", ["true", "false", '"3"', "nan", "inf", "[3]"])
def test_a_number_is_a_number(tmp_path: Path, given: str) -> None:
    schema = CartConfig.model_json_schema()
    found = list(numbers(schema, schema))
    assert {"camera.budget_ms", "light.timing.exposure_ms", "exam.retakes", "web.port"} < set(found)
    for key in found:
        path = tmp_path / "cart.toml"
        path.write_text(f'schema = "rop.cart/1"\n{NEEDED.get(key.partition(".")[0], "")}{key} = {given}\n')
        with pytest.raises(ConfigUnusable, match=rf"{re.escape(key)}: (got .*, )?expected"):
            load_config(path)


def test_a_command_takes_from_the_file_what_its_line_leaves_out(cart_toml: Path) -> None:
    here = cart_toml.parent
    found = exam_parse(["capture", "--config", str(cart_toml), "--eye", "OD", "--view", "nasal"])
    assert (found.source, found.budget_ms, found.operator, found.journal) == ("sim:seed=4", 700, "anna", here / "exams")
    assert (found.bundle, found.engine, found.site_profile) == (here / "model", "openvino", here / "site.profile")
    new = exam_parse(["new", f"--config={cart_toml}"])
    assert (new.station, new.views, new.retakes) == ("cart 1", (View.DISC, View.TEMPORAL), 1)
    assert screen_parse(["--config", str(cart_toml)]).source == "sim:seed=4"
    send = dicom_parse(["send", "--config", str(cart_toml)])
    assert (send.site, send.journal, send.key_file) == (here / "dicom.json", here / "exams", here / "cart.key")


def test_a_file_that_anybody_may_write_is_not_followed(cart_toml: Path) -> None:
    cart_toml.chmod(0o666)
    with pytest.raises(ConfigUnusable, match=r"cart\.toml: every user of this machine may write .*; chmod o-w"):
        load_config(cart_toml)


def test_what_the_line_says_stands(cart_toml: Path) -> None:
    line = ["capture", "--config", str(cart_toml), "--operator", "eva", "--budget-ms", "9", "--eye", "OD"]
    found = exam_parse([*line, "--view", "nasal", "picture.png"])
    assert (found.operator, found.budget_ms, found.source) == ("eva", 9.0, "picture.png")


def test_without_a_file_what_was_required_still_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        exam_parse(["close"])
    assert "--operator" in capsys.readouterr().err


@pytest.mark.parametrize("parse", [exam_parse, screen_parse, dicom_parse])
def test_a_file_that_cannot_be_used_ends_a_command_with_code_2(
    parse: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(parse)
    with pytest.raises(SystemExit) as ended:
        parse(["--config", str(tmp_path / "none.toml")])
    assert ended.value.code == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


def test_an_exam_from_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cart.toml"
    path.write_text(WHOLE.replace('folder = "model"', "").replace('profile = "site.profile"', "").split("[site]")[0])
    infant = {"infant_id": "H-1", "name": "Doe^Baby", "born_at": "2026-10-01T04:30", "gestational_age": "27w3d"}
    (tmp_path / "infant.json").write_text(json.dumps(infant | {"birth_weight_g": 980}))
    assert exam(["key", str(tmp_path / "cart.key")]) == 0
    assert exam(["new", "--config", str(path), "--infant", str(tmp_path / "infant.json")]) == 0
    assert exam(["close", "--config", str(path)]) == 0
    assert (tmp_path / "exams" / "journal.sqlite3").exists()
    capsys.readouterr()
    assert exam(["list", "--config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["operator"] == "anna"


def test_help_imports_no_pydantic() -> None:
    code = "import sys; sys.argv = ['x', '--help']\nimport runtime.screen.arguments as a\n"
    code += "try:\n    a.parse(['--help'])\nexcept SystemExit:\n    pass\nassert 'pydantic' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

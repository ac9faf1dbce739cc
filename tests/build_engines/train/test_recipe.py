"""Whatever decides what a network learns makes another recipe; where its files lie and how often is looked does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from build_engines.errors import TrainingDataError
from build_engines.segimgnet import SIZES
from build_engines.train.data import TrainingFrame
from build_engines.train.recipe import digest_of, recipe_of, require_same
from build_engines.train.settings import PhaseSettings

SETTINGS = PhaseSettings(steps=10, batch=2, peak_rate=1e-3)
EDGE = SIZES["edge"]


def frames(folder: Path) -> list[TrainingFrame]:
    folder.mkdir(exist_ok=True)
    made = []
    for number in range(3):
        files = [folder / f"{number}.{kind}" for kind in ("png", "vessels", "ridge")]
        for file in files:
            file.write_bytes(file.name.encode())
        image, vessels, ridge = files
        made.append(TrainingFrame("set", "Neo", f"group-{number}", image, vessels, ridge, ridge_in_view=number == 0))
    return made


CHANGES: dict[str, Callable[[list[TrainingFrame]], object]] = {
    "a frame less": lambda known: known.pop(),
    "another picture": lambda known: known[1].image.write_bytes(b"other"),
    "another mask of vessels": lambda known: (known[1].vessel_mask or Path()).write_bytes(b"other"),
    "another mask of the ridge": lambda known: (known[1].ridge_mask or Path()).write_bytes(b"other"),
    "a mask less": lambda known: known.append(replace(known.pop(), ridge_mask=None)),
    "another label": lambda known: known.append(replace(known.pop(), ridge_in_view=True)),
    "another group": lambda known: known.append(replace(known.pop(), group="group-0")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_frames_are_another_recipe(tmp_path: Path, change: str) -> None:
    known = frames(tmp_path)
    before = digest_of(known)
    CHANGES[change](known)
    assert digest_of(known) != before


def test_neither_the_folder_nor_the_order_matters(tmp_path: Path) -> None:
    assert digest_of(frames(tmp_path / "a")) == digest_of(reversed(frames(tmp_path / "b")))


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"steps": 11}, "steps"), ({"batch": 3}, "batch"), ({"peak_rate": 2e-3}, "peak_rate"), ({"seed": 2}, "seed")],
)
def test_what_differs_is_named(tmp_path: Path, settings: dict[str, int], name: str) -> None:
    saved = recipe_of(frames(tmp_path), EDGE, replace(SETTINGS, **settings))
    with pytest.raises(TrainingDataError, match=f"state.pt: was trained with other {name}; train as it was begun"):
        require_same(Path("state.pt"), saved, recipe_of(frames(tmp_path), EDGE, SETTINGS))
    often = replace(SETTINGS, save_every=1, validate_every=1)
    require_same(
        Path("state.pt"), recipe_of(frames(tmp_path), EDGE, often), recipe_of([*frames(tmp_path)], EDGE, SETTINGS)
    )


def test_another_vessel_segmentation_is_another_recipe(tmp_path: Path) -> None:
    torch.manual_seed(0)
    one, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    made = [recipe_of(frames(tmp_path), EDGE, SETTINGS, network) for network in (one, other)]
    require_same(Path("state.pt"), *made)
    torch.nn.init.zeros_(other.weight)
    with pytest.raises(TrainingDataError, match="other vessel segmentation"):
        require_same(Path("state.pt"), made[0], recipe_of(frames(tmp_path), EDGE, SETTINGS, other))


@pytest.mark.parametrize("saved", [None, {}, [], "recipe"])
def test_a_state_that_does_not_say_is_another_one(tmp_path: Path, saved: object) -> None:
    with pytest.raises(TrainingDataError, match=r"with other steps, batch, .*, training frames"):
        require_same(Path("state.pt"), saved, recipe_of(frames(tmp_path), EDGE, SETTINGS))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    known = frames(tmp_path)
    known[0].image.unlink()
    with pytest.raises(TrainingDataError, match=r"0\.png: cannot be read .*is the data set whole"):
        digest_of(known)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from build_engines.description import load_description
from build_engines.segimgnet import NetworkSize
from build_engines.segimgnet.checkpoint import load_checkpoint
from build_engines.train.run import train
from build_engines.train.settings import PhaseSettings
from build_engines.train.state import PhaseState, Schedule, WeightAverage

TINY = NetworkSize("tiny", (4, 4, 4, 4, 4), (4, 4, 4, 4), (1, 1, 1, 1), 4)


def write_data(root: Path) -> None:
    """Data sets of the expected form: a handful of small pictures with masks."""
    rng = np.random.default_rng(0)
    header = "image,mask,device,original,frame_group,also_in_ridge_set,subject"
    for name in ("hvdropdb_vessels", "hvdropdb_disc", "hvdropdb_ridge", "hrf", "chase_db1", "fives_amd20"):
        folder = root / name
        (folder / "images").mkdir(parents=True)
        (folder / "masks").mkdir()
        lines = [header]
        for index in range(8):
            device = "RetCam" if index % 2 else "Neo"
            picture = rng.integers(40, 200, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(picture).save(folder / "images" / f"{index}.png")
            Image.fromarray(((picture[..., 1] > 120) * 255).astype(np.uint8)).save(folder / "masks" / f"{index}.png")
            lines.append(f"images/{index}.png,masks/{index}.png,{device},{index},{name}_{index},0,{index}")
        (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def run(root: Path, out: Path, first: int, second: int | None) -> list[str]:
    lines: list[str] = []
    phase = PhaseSettings(steps=first, batch=2, peak_rate=1e-3, save_every=1, validate_every=2)
    other = None if second is None else PhaseSettings(steps=second, batch=2, peak_rate=1e-3, save_every=1)
    train(root, out, TINY, phase, other, 0.3, lines.append)
    return lines


@pytest.mark.slow
def test_training_ends_in_a_described_checkpoint_and_goes_on_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_data(data)
    run(data, tmp_path / "out", 4, None)
    assert not (tmp_path / "out" / "segimgnet.pth").exists()
    lines = run(data, tmp_path / "out", 4, 2)
    assert "segmentation: resumed at step 4 of 4" in lines
    network = load_checkpoint(tmp_path / "out" / "segimgnet.pth")
    description = load_description(tmp_path / "out" / "segimgnet.json")
    assert network.classes == len(description.classes) == 2
    assert not description.clinical_use
    assert {m.name for m in description.metrics} >= {"dice", "sensitivity", "specificity"}
    assert len(description.training_data) == 6
    # Both phases are done, so a third run only writes the same weights again.
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(data, tmp_path / "out", 4, 2)
    after = load_checkpoint(tmp_path / "out" / "segimgnet.pth").state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_saved_phase_comes_back_whole(tmp_path: Path) -> None:
    def phase() -> PhaseState:
        module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        return PhaseState(module, torch.optim.AdamW(module.parameters()), WeightAverage(module, 0.9))

    def step(state: PhaseState, seed: int) -> None:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))
        state.optimizer.zero_grad()
        state.module(x).square().mean().backward()
        state.optimizer.step()
        state.average.update(state.module, state.step)
        state.step += 1

    torch.manual_seed(0)
    straight = phase()
    for seed in range(4):
        step(straight, seed)
    torch.manual_seed(0)
    stopped = phase()
    for seed in range(2):
        step(stopped, seed)
    stopped.save(tmp_path / "state.pt")
    resumed = phase()
    assert resumed.restore(tmp_path / "state.pt")
    for seed in range(2, 4):
        step(resumed, seed)
    assert resumed.step == straight.step
    for name, value in straight.average.state.items():
        assert torch.equal(value, resumed.average.state[name])


def test_the_rate_rises_then_falls_to_nearly_nothing() -> None:
    schedule = Schedule(steps=100, peak=1.0, warmup=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.01
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from build_engines.description import load_description
from build_engines.errors import TrainingDataError
from build_engines.segimgnet import NetworkSize
from build_engines.segimgnet.checkpoint import load_checkpoint
from build_engines.train.data import ridge_frames, split_frames
from build_engines.train.run import TrainingPlan, train
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


def run(
    root: Path, out: Path, first: int, second: int | None, folds: int = 0, read: int = 0, held_out: float = 0.3
) -> list[str]:
    lines: list[str] = []
    phase = PhaseSettings(steps=first, batch=2, peak_rate=1e-3, save_every=1, validate_every=2)
    other = None if second is None else PhaseSettings(steps=second, batch=2, peak_rate=1e-3, save_every=1)
    curve = (0.6,) if folds else ()
    train(root, out, TrainingPlan(TINY, phase, other, held_out, folds, read, curve), lines.append)
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
    # Another share is held out: figures of "held-out" frames would be of frames that the state was trained on.
    with pytest.raises(TrainingDataError, match=r"was trained with other training frames; train as it was begun"):
        run(data, tmp_path / "out", 4, 2, held_out=0.5)
    with pytest.raises(TrainingDataError, match=r"segmentation.state.pt: was trained with other steps"):
        run(data, tmp_path / "out", 5, 2)
    # Both phases are done, so a third run only writes the same weights again.
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(data, tmp_path / "out", 4, 2)
    after = load_checkpoint(tmp_path / "out" / "segimgnet.pth").state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.slow
def test_cross_validation_gives_the_threshold_and_the_temperature(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_data(data)
    first = run(data, out, 1, 2, folds=2)
    description = load_description(out / "segimgnet.json")
    found = description.cross_validation
    assert found is not None
    frames = split_frames(ridge_frames(data), 0.3).train
    assert found.folds == 2
    assert sum(part.frames for part in found.reliability) == len(frames)
    assert {m.name for m in found.metrics} == {"roc_auc", "sensitivity", "specificity"}
    whole = next(m for m in found.metrics if m.name == "roc_auc" and m.device == "all")
    assert whole.frames == len(frames)
    assert found.threshold_low <= description.refer_threshold <= found.threshold_high
    assert {m.name for m in description.metrics} >= {"f1_one_pixel", "cl_dice", "sensitivity", "specificity"}
    # The temperature is in the weights that are written.
    plain = torch.load(out / "classification.state.pt", weights_only=True)["average"]["classifier.output.weight"]
    written = load_checkpoint(out / "segimgnet.pth").classifier.output.weight
    assert torch.allclose(written * found.temperature, plain, rtol=1e-4)
    assert json.loads((out / "learning_curve.json").read_text())[0]["frames"] < len(frames)
    # Taken up again, no fold is trained anew.
    assert any(line.startswith("fold 1 of 2:") and "held out" in line for line in first)
    assert not any(line.startswith("fold 1 of 2:") and "held out" in line for line in run(data, out, 1, 2, folds=2))
    assert load_description(out / "segimgnet.json") == description
    # The first fold alone: what it read decides, and the description says so.
    run(data, out, 1, 2, folds=2, read=1)
    part = load_description(out / "segimgnet.json").cross_validation
    assert part is not None
    assert (part.folds, part.read) == (2, 1)
    assert 0 < sum(bin_.frames for bin_ in part.reliability) < len(frames)
    (out / "fold-1-of-2" / "scores-2-1.json").write_text("{}")
    with pytest.raises(TrainingDataError, match="delete it to train the fold again"):
        run(data, out, 1, 2, folds=2)


def test_a_saved_phase_comes_back_whole(tmp_path: Path) -> None:
    def phase() -> PhaseState:
        module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        return PhaseState(module, torch.optim.AdamW(module.parameters()), WeightAverage(module, 0.9), {"seed": "1"})

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

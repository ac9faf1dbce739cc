from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from runtime.daemon.__main__ import main
from runtime.daemon.errors import NotMeasured
from runtime.daemon.measure import LIMIT_P50_MS, connect, measure, measure_by, pictures_of, report
from runtime.engines.fake import FakeEngine
from runtime.screener import Screener
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running


def test_the_same_frames_here_and_by_the_daemon(daemon: Running) -> None:
    pictures = [retina(seed) for seed in range(3)]
    with Screener(daemon.bundle, engine=FakeEngine(), reject_repeats=False) as screener:
        added = measure_by(daemon.path, screener, pictures, 6)
    assert added.frames == 6
    assert added.bytes_a_frame == 320 * 240 * 3
    assert 0 < added.around_p50 < added.daemon_p50 <= added.daemon_p99
    assert "6 frames of 0.2 MB" in report(added)
    assert report(added).endswith("INVALID: p99 needs 662 frames, got 6; measure more with --frames")
    assert "n too small" in report(added)
    fast = replace(added, frames=662, here_p50=1.0, here_p99=2.0, daemon_p50=1.0 + LIMIT_P50_MS / 2, daemon_p99=2.5)
    slow = replace(fast, daemon_p50=1.0 + LIMIT_P50_MS * 2)
    assert report(fast).endswith("PASS")
    assert report(slow).endswith("FAIL")
    assert report(replace(fast, daemon_p99=5.1)).endswith("FAIL")


def test_a_daemon_that_says_something_else_is_not_measured(daemon: Running) -> None:
    daemon.engine.probabilities = (0.1, 0.9)
    pictures = [retina(1)]
    with (
        Screener(daemon.bundle, engine=FakeEngine(), reject_repeats=False) as screener,
        connect(daemon.path, pictures[0]) as client,
        pytest.raises(NotMeasured, match="NO_REFERRAL_FINDINGS here, REFER by the daemon"),
    ):
        measure(client, screener, pictures, 1)


def test_a_daemon_that_takes_longer_than_a_live_picture_counts_is_measured(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 2100.0
    with (
        Screener(daemon.bundle, engine=FakeEngine(), reject_repeats=False) as screener,
        connect(daemon.path, retina(1)) as client,
    ):
        assert measure(client, screener, [retina(1)], 1, warmup=0).daemon_p50 >= 2100


def test_sources_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(NotMeasured, match="name another --source"):
        pictures_of(str(tmp_path))


def test_wrong_calls(tmp_path: Path) -> None:
    assert main(["measure", "--source", str(tmp_path / "none")]) == 2
    with pytest.raises(SystemExit):
        main(["measure", "--frames", "0"])


@pytest.mark.soak
def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(retina(1), cv2.COLOR_RGB2BGR))
    call = ["measure", "--source", str(tmp_path), "--frames", "3", "--engine", "openvino", "--threads", "1", "--json"]
    assert main(call) == 2
    said = json.loads(capfd.readouterr().out)
    assert (said["frames"], said["daemon_p99"]) == (3, None)

"""A cart whose stills come into a folder: no infant is given the picture of another, and what nobody read is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from device.cameras.stills import FolderStill
from device.frame import Frame
from runtime.cart.cart import Cart
from tests.runtime.cart.driving import PATIENCE_S, until
from tests.runtime.cart.quick import Quick, drawn, quick


def _comes(folder: Path, place: int) -> None:
    encoded = cv2.imencode(".png", cv2.cvtColor(drawn()[place], cv2.COLOR_RGB2BGR))[1].tobytes()
    (folder / ".part").write_bytes(encoded)
    (folder / ".part").rename(folder / f"{place}.png")


def _still_problem(cart: Cart) -> str:
    return {part["name"]: part["problem"] for part in cart.health()}["still camera"]


def _with_stills(made: Quick, stills: Path, settle_s: Callable[[], float]) -> None:
    made.stop()
    made.parts = replace(
        made.parts, open_still=lambda: FolderStill(stills, settle_s=settle_s(), second_s=0.2), still_timeout_ms=1000.0
    )
    made.start()
    made.sign_in()
    until(lambda: _still_problem(made.cart) == "", "the folder is open")


def test_a_press_that_times_out_and_the_next_infant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stills = tmp_path / "stills"
    stills.mkdir()
    settle_s = [0.0]
    with quick(tmp_path) as made:
        _with_stills(made, stills, lambda: settle_s[0])
        still = made.cart._hardware.still
        assert still is not None
        source = still.part
        assert isinstance(source, FolderStill)
        source.settle_s = 3600.0
        first = made.open_exam()
        made.aim("OD", "nasal")
        assert made.press().json()["capture"]["outcome"] == "NO_RESULT"  # nothing came in time
        made.done(f"exams/{first}/stop", {"cause": "equipment", "note": ""})

        second = made.open_exam(infant_id="Q-2", name="Quick^Ben")
        made.aim("OD", "nasal")
        refused = made.press()
        assert refused.status_code == 409
        assert "nothing was taken" in refused.json()["detail"]
        assert refused.json()["retry_s"] > 3000
        _comes(stills, 1)  # the first infant's
        until(lambda: "1 picture came" in _still_problem(made.cart), "what nobody read is told")
        assert made.press().status_code == 409
        assert made.get(f"exams/{second}").json()["captures"] == []

        source._ready_at = time.monotonic()  # an hour on
        pressed = threading.Event()
        wait = FolderStill._wait

        def waits(self: FolderStill, pressed_ns: int, timeout_ms: float) -> Frame:
            pressed.set()
            return wait(self, pressed_ns, PATIENCE_S * 1000)

        monkeypatch.setattr(FolderStill, "_wait", waits)

        def photographs() -> None:
            pressed.wait(PATIENCE_S)
            _comes(stills, 2)

        camera = threading.Thread(target=photographs)
        camera.start()
        taken = made.press().json()["capture"]
        camera.join()
        monkeypatch.undo()
        assert taken["outcome"] != "NO_RESULT", taken
        assert "1 picture came" in _still_problem(made.cart)

        settle_s[0] = 0.0
        made.stop()  # while it is away one more comes
        _comes(stills, 3)
        made.start()
        made.sign_in()
        until(lambda: "2 pictures came" in _still_problem(made.cart), "what came before the start is told")

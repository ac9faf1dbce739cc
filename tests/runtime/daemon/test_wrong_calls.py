"""Wrong arguments to the Python client: each says which, got, expected, and costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.daemon.client import Client
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running

WAYS: list[tuple[dict[str, Any], str]] = [
    ({"name": "a" * 32}, "name 'a{32}': expected 1 to 31"),
    ({"name": ""}, "expected 1 to 31"),
    ({"answer_s": 0}, "answer_s: got 0, expected above 0"),
    ({"answer_s": float("nan")}, "answer_s: got nan"),
    ({"max_age_ms": float("nan")}, "max_age_ms: got nan"),
    ({"bundle_sha256": b"12"}, "bundle_sha256: got b'12', expected 32 bytes"),
    ({"bundle_sha256": "00" * 32}, "expected 32 bytes; bytes.fromhex"),
    ({"order": 7}, "7 is not a valid FrameOrder"),
    ({"slots": -1}, "slots: got -1, expected a whole number from 0"),
    ({"slots": 1.5}, "slots: got 1.5"),
    ({"slot_bytes": 1 << 40}, "slot_bytes: got 1099511627776"),
]


@pytest.mark.parametrize(("changed", "said"), WAYS, ids=lambda value: str(value)[:30])
def test_a_client_that_cannot_be_says_why(daemon: Running, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Client(daemon.path, **({"slots": 2, "slot_bytes": 320 * 240 * 3} | changed))


CALLS: dict[str, tuple[Callable[[Client], object], str]] = {
    "slot below": (lambda it: it.fill(-1, retina(1)), "slot: got -1, expected 0 to 1"),
    "slot beyond": (lambda it: it.fill(2, retina(1)), "slot: got 2, expected 0 to 1"),
    "begin": (lambda it: it.begin(-1), "slot: got -1"),
    "finish": (lambda it: it.finish(2), "slot: got 2"),
    "submit": (lambda it: it.submit(2, 320, 240), "slot: got 2"),
    "width": (lambda it: it.submit(0, -1, 240), "Submit: width: got -1, expected a whole number from 0 to 4294967295"),
    "moment": (lambda it: it.submit(0, 320, 240, captured_ns=-1), "captured_ns: got -1"),
    "format": (lambda it: it.submit(0, 320, 240, pixel_format=77), "77 is not a valid PixelFormat"),  # type: ignore[arg-type]
    "matrix": (lambda it: it.submit(0, 320, 240, matrix=9), "9 is not a valid ColourMatrix"),  # type: ignore[arg-type]
    "levels": (lambda it: it.submit(0, 320, 240, levels=9), "9 is not a valid Range"),  # type: ignore[arg-type]
}


def test_a_call_that_cannot_be_says_why_and_the_connection_goes_on(daemon: Running) -> None:
    with daemon.client(slots=2, stored_pictures=True) as client:
        client.fill(1, retina(1))
        before = client.ring.generation(1)
        for name, (call, said) in CALLS.items():
            with pytest.raises(ValueError, match=said):
                call(client)
            assert client.ring.generation(1) == before, name  # -1 is not the last one
        assert client.read(retina(1)).frame_sha256 != bytes(32)

"""A peer: another way to read frames, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.outcome import Outcome
from runtime.reading import EngineFacts, Reader

PROTOCOL = "rop.peer/1"
CLOSING_S = 10.0


class Peer(Protocol):
    """Another way to read frames; a context manager."""

    facts: EngineFacts

    def read(self, frame: Frame) -> tuple[float, str]:
        """Milliseconds that the whole frame took it, and the outcome. Raises `BenchError`."""
        ...


class ScreenerPeer:
    """A peer in this process: a Screener with another engine, so that all but the engine is the same."""

    def __init__(self, screener: Reader, facts: EngineFacts) -> None:
        self._screener = screener
        self.facts = facts

    def read(self, frame: Frame) -> tuple[float, str]:
        """The Screener's own total."""
        reading = self._screener.screen(frame)
        if reading.outcome is Outcome.NO_RESULT:
            raise BenchError(f"peer: {self.facts.backend} gave no result: {reading.reason}")
        return reading.timings_ms.total or 0.0, reading.outcome.value


class ChildPeer:
    """A peer in a process of its own, which may import what the runtime may not; it speaks `rop.peer/1`.

    One JSON object a line. The child first says `{"schema": "rop.peer/1", "backend", "precision", "device"}`; then to
    each `{"frame": PATH}` (a .npy of uint8 [H, W, 3] RGB) it answers `{"total_ms", "outcome"}`, its own time for the
    whole frame from pixels in memory to the outcome, or `{"error": TEXT}`. It ends when its input does.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start it and wait until it is ready. Raises `BenchError` with its own words when it is not."""
        self._places = contextlib.ExitStack()
        self._folder = Path(self._places.enter_context(tempfile.TemporaryDirectory(prefix="rop-peer-")))
        self._errors = self._folder / "stderr"
        self._paths: dict[str, Path] = {}
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # a terminal's Ctrl-C is for us, who then still write the report so far
                )
        except OSError as error:
            self._places.close()
            raise BenchError(f"peer: {command[0]} cannot be started ({error.strerror})") from None
        try:
            ready = self._answer()
            if ready.get("schema") != PROTOCOL:
                raise BenchError(f"peer: said {str(ready)[:80]}, expected its facts in {PROTOCOL}")
            self.facts = EngineFacts(*(str(ready.get(name)) for name in ("backend", "precision", "device")))
        except BaseException:  # also a signal that breaks the wait
            self.close()
            raise

    def read(self, frame: Frame) -> tuple[float, str]:
        """What the child says of a frame; the pixels of each are written once, by name."""
        path = self._paths.get(frame.sha256)
        if path is None:
            path = self._paths[frame.sha256] = self._folder / f"{len(self._paths)}.npy"
            np.save(path, frame.pixels)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then it has ended, which reading its answer tells
            self._process.stdin.write(json.dumps({"frame": str(path)}) + "\n")
            self._process.stdin.flush()
        answer = self._answer()
        try:
            return float(answer["total_ms"]), str(answer["outcome"])
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"peer: answered {str(answer)[:80]}, expected total_ms and outcome") from None

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise BenchError(f"peer: ended with code {code}: {self._last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BenchError(f"peer: said {line.strip()[:80]!r}, expected a line of JSON ({PROTOCOL})")
        if "error" in answer:
            raise BenchError(f"peer: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        lines = self._errors.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "no message"

    def close(self) -> None:
        """End the child. Closing twice is fine."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._places.close()

    def __enter__(self) -> ChildPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

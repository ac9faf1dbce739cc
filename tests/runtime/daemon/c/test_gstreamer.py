"""The GStreamer element in real pipelines against a real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from device.pixels import ColourMatrix, PixelFormat, Range
from tests.busy import at_a_calm_moment
from tests.device.test_pixels import laid_out, to_yuv
from tests.pictures import retina
from tests.runtime.daemon.c.building import HERE, C, tool
from tests.runtime.daemon.c.daemons import Daemons

pytestmark = pytest.mark.system
WIDTH, HEIGHT = 322, 240
"""GStreamer pads rows to four bytes: of RGB here by two."""
Said = list[dict[str, Any]]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the element, built as the README says."""
    folder = tmp_path_factory.mktemp("gstreamer")
    found = subprocess.run([tool("pkg-config"), "--exists", "gstreamer-video-1.0"], timeout=300)
    if found.returncode:
        pytest.skip("no libgstreamer-plugins-base1.0-dev on this machine")
    for command in (["-S", C, "-B", folder, "-DGSTREAMER=ON", "-DCMAKE_C_FLAGS=-Werror"], ["--build", folder]):
        done = subprocess.run([tool("cmake"), *map(str, command)], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


SYSTEM_PYTHON = "/usr/bin/python3"


def environment(plugins: Path) -> dict[str, str]:
    """For the system's Python, which finds the element there."""
    if subprocess.run([SYSTEM_PYTHON, "-c", "import gi"], capture_output=True, timeout=300).returncode:
        pytest.skip("the system's Python has no gi (python3-gi)")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return own | {"GST_PLUGIN_PATH": str(plugins), "GST_REGISTRY": str(plugins / "registry")}


LOOKED_AT = "fakesink name=out signal-handoffs=true"


@contextlib.contextmanager
def pipeline(
    plugins: Path, text: str, sink: str = LOOKED_AT, *ways: str
) -> Iterator[tuple[subprocess.Popen[str], Callable[[], dict[str, Any]]]]:
    """A running pipeline, and what gives the next thing it said ({} at its end)."""
    command = [SYSTEM_PYTHON, str(HERE / "gstreamer_pipeline.py"), f"{text} ! {sink}", *ways]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(plugins)
    ) as running:
        assert running.stdout is not None
        lines = running.stdout
        try:
            yield running, lambda: dict(json.loads(lines.readline() or "{}"))
        finally:
            running.terminate()


def all_said(plugins: Path, text: str, sink: str = LOOKED_AT) -> Said:
    with pipeline(plugins, text, sink) as (running, next_said):
        found = list(iter(next_said, {}))
        assert running.wait(60) == 0
    return found


def rgb_bytes(seed: int) -> bytes:
    """Rows padded to four bytes, as GStreamer lays RGB out."""
    row = (3 * WIDTH + 3) // 4 * 4
    return b"".join(line.tobytes().ljust(row, b"\x07") for line in retina(seed, width=WIDTH, height=HEIGHT))


def source(folder: Path, data: bytes, caps: str) -> str:
    (folder / "frame").write_bytes(data)
    return f"filesrc location={folder / 'frame'} blocksize={len(data)} ! {caps},width={WIDTH},height={HEIGHT}"


RGB = "video/x-raw,format=RGB,framerate=30/1"
NV12 = "video/x-raw,format=NV12,framerate=30/1"


@pytest.mark.parametrize("kind", ["RGB", "NV12", "NV12 by its caps", "JPEG"])
def test_a_pipeline_of_one_line_reads(plugins: Path, lasting_daemon: Path, tmp_path: Path, kind: str) -> None:
    picture, ways = retina(1, width=WIDTH, height=HEIGHT), ""
    if kind == "RGB":
        data, caps = rgb_bytes(1), RGB
    elif kind == "JPEG":
        data, caps = simplejpeg.encode_jpeg(picture, 95, "RGB", "420"), "image/jpeg"
    else:
        yuv = laid_out(to_yuv(picture, ColourMatrix.BT709, Range.LIMITED), PixelFormat.NV12, 324)
        data, caps = yuv.tobytes(), NV12
        ways = "matrix=bt709 range=limited"
        if kind != "NV12":
            ways, caps = "", f"{NV12},colorimetry=bt709"
    begin = source(tmp_path, data, caps)

    def reads() -> None:  # within the two seconds that a frame counts where nothing else is asked for
        said = all_said(plugins, f"{begin} ! ropscreen socket={lasting_daemon} wait=true {ways}")
        message, *later = [one for one in said if one["kind"] == "message"]
        (meta,) = [one for one in said if one["kind"] == "meta"]
        assert message["outcome"] == "NO_REFERRAL_FINDINGS"
        assert message["text"].startswith("No referral findings")
        assert 0 < message["fresh-until-ns"] - message["captured-ns"] == 2_000_000_000
        assert len(message["probabilities"]) == 2
        assert message["clinical-use"] is False
        assert message["notice"]
        assert {**meta, "kind": "message"} == message
        assert [one["outcome"] for one in later] in ([], ["NO_RESULT"])  # the pipeline has stopped

    at_a_calm_moment(reads)


@pytest.mark.parametrize("kind", ["RGB", "RGBx", "NV12", "YUY2"])
def test_of_a_buffer_that_is_cut_by_its_meta_that_part_is_read(
    plugins: Path, lasting_daemon: Path, tmp_path: Path, kind: str
) -> None:
    if subprocess.run([tool("gst-inspect-1.0"), "--exists", "fakevideosink"], timeout=300).returncode:
        pytest.skip("no fakevideosink on this machine (gstreamer1.0-plugins-bad)")
    whole = np.full((400, 640, 3), 9, np.uint8)
    whole[60:300, 104:426] = retina(1, width=WIDTH, height=HEIGHT)
    (tmp_path / "frame").write_bytes(whole.tobytes())
    begin = (
        f"filesrc location={tmp_path / 'frame'} blocksize={whole.nbytes}"
        " ! video/x-raw,format=RGB,width=640,height=400,framerate=30/1 ! videoconvert"
        f" ! video/x-raw,format={kind} ! videocrop left=104 top=60 right=214 bottom=100"
        f" ! ropscreen socket={lasting_daemon} wait=true max-age-ms=60000 matrix=bt709 range=limited"
    )
    cut, by_meta = (all_said(plugins, begin, sink)[0] for sink in (LOOKED_AT, "fakevideosink"))
    assert cut["outcome"] == by_meta["outcome"] == "NO_REFERRAL_FINDINGS"
    assert cut["frame-sha256"] == by_meta["frame-sha256"]


def test_yuv_that_does_not_say_how_it_was_made_ends_the_pipeline_with_what_to_do(
    plugins: Path, lasting_daemon: Path, tmp_path: Path
) -> None:
    data = bytes(324 * HEIGHT * 3 // 2)
    (said,) = all_said(plugins, f"{source(tmp_path, data, NV12)} ! ropscreen socket={lasting_daemon}")
    assert said["kind"] == "error"
    assert "matrix=bt709 range=limited" in said["text"]


def test_without_a_daemon_the_pipeline_goes_on_and_says_no_result(plugins: Path, tmp_path: Path) -> None:
    begin = source(tmp_path, rgb_bytes(1), RGB)
    said = all_said(plugins, f"{begin} ! ropscreen socket={tmp_path / 'none'} wait=true")
    assert {one["text"] for one in said} == {"No result - the reading program does not run"}
    assert {one["kind"] for one in said} == {"message", "meta"}


def test_a_finding_is_followed_by_no_result_when_the_daemon_hangs_or_dies_and_comes_again(
    plugins: Path, daemons: Daemons, tmp_path: Path
) -> None:
    (tmp_path / "frame").write_bytes(rgb_bytes(1))
    caps = f'caps="{RGB},width={WIDTH},height={HEIGHT}"'
    begin = f"multifilesrc location={tmp_path / 'frame'} loop=true {caps} ! identity sleep-time=30000"
    element = f"ropscreen name=rop socket={daemons.path} stored-pictures=true max-age-ms=1000"
    child = daemons.start()
    with pipeline(plugins, f"{begin} ! {element}") as (running, next_said):

        def until(text: str, kind: str = "message") -> dict[str, Any]:
            end = time.monotonic() + 300
            while True:
                said = next_said()
                assert said, "the pipeline ended"
                assert time.monotonic() < end
                if said["kind"] == kind and said["text"].startswith(text):
                    return said

        until("No referral findings")
        assert until("No referral findings", "meta")["fresh-until-ns"]
        os.kill(child.pid, signal.SIGSTOP)
        until("No result - late")
        os.kill(child.pid, signal.SIGCONT)
        until("No referral findings")
        child.kill()
        child.wait()
        until("No result - the reading program does not run")
        daemons.start()
        until("No referral findings")
        assert running.stdin is not None
        running.stdin.write("cancel\n")
        running.stdin.flush()
        until("No result - ")
        until("No referral findings")
        running.stdin.write("stats\n")
        running.stdin.flush()
        while (stats := next_said())["kind"] != "stats":
            pass
        left_out = sum(stats[f"left-out-{why}"] for why in ("absent", "busy", "no-slot"))
        assert stats["frames"] == stats["handed-over"] + left_out + stats["refused"], stats
        ended = sum(stats[how] for how in ("read", "superseded", "unanswered", "under-way"))
        assert stats["handed-over"] == ended, stats
        assert min(stats["read"], stats["left-out-absent"], stats["left-out-no-slot"]) > 0, stats  # it hung, and died
        running.stdin.write("end\n")
        running.stdin.flush()
        last = list(iter(next_said, {}))
        assert running.wait(60) == 0
        messages = [said for said in last if said["kind"] == "message"]
        assert not messages or messages[-1]["outcome"] == "NO_RESULT"


def test_frames_that_come_as_the_pipeline_starts_are_not_taken_for_old_ones(
    plugins: Path, lasting_daemon: Path
) -> None:
    """The sink starts before this element is told when the pipeline did."""
    begin = "videotestsrc num-buffers=6 ! video/x-raw,format=RGB,width=96,height=96,framerate=30/1"
    for _ in range(5):
        said = all_said(
            plugins,
            f"{begin} ! ropscreen socket={lasting_daemon} stored-pictures=true wait=true max-age-ms=60000",
            "fakesink",
        )
        assert {one["outcome"] for one in said if "not gradable" in one["text"]} == {"RETAKE"}
        assert not [one["text"] for one in said if "captured_ns" in one["text"]]


def test_a_frame_that_is_marked_as_damaged_is_read_by_nobody(
    plugins: Path, lasting_daemon: Path, tmp_path: Path
) -> None:
    """As V4L2 does with what came incomplete over USB, and a decoder with what it made up."""
    begin = f"{source(tmp_path, rgb_bytes(1), RGB)} ! identity name=worn"
    said = all_said(plugins, f"{begin} ! ropscreen socket={lasting_daemon} wait=true")
    assert {one["text"] for one in said} == {"No result - the frame is marked as damaged"}
    assert {one["kind"] for one in said} == {"message", "meta"}


def test_a_synchronous_handler_may_ask_the_element(plugins: Path, lasting_daemon: Path, tmp_path: Path) -> None:
    """For its counts, and for no result of what is under way; also of an error that the caps bring."""
    (tmp_path / "frame").write_bytes(rgb_bytes(1))
    caps = f'caps="{RGB},width={WIDTH},height={HEIGHT}"'
    begin = f"multifilesrc location={tmp_path / 'frame'} loop=true num-buffers=20 {caps}"
    element = f"ropscreen name=rop socket={lasting_daemon} stored-pictures=true wait=true"
    for text in (f"{begin} ! {element}", f"videotestsrc num-buffers=5 ! video/x-raw,format=NV12 ! {element}"):
        with pipeline(plugins, text, "fakesink", "asking") as (running, _):
            out, _err = running.communicate(timeout=150)
        said = [json.loads(line) for line in out.splitlines()]
        assert [one for one in said if one["kind"] == "stats"]
        outcomes = [one["outcome"] for one in said if one["kind"] == "message"]
        if text.startswith("multifilesrc"):
            findings = [at for at, outcome in enumerate(outcomes) if outcome == "NO_REFERRAL_FINDINGS"]
            assert findings
            assert {outcomes[at + 1] for at in findings} == {"NO_RESULT"}


@pytest.mark.parametrize(
    "pauses_s", [[0.3], [8.0], [3.0, 3.0], [0.1] * 10, ["seek"] * 3, [1.0, "seek", 1.0, "seek"]], ids=str
)
def test_no_frame_is_younger_than_it_is_after_a_pause(
    plugins: Path, lasting_daemon: Path, pauses_s: list[float | str]
) -> None:
    """The pipeline moves its base time by the pause's length, and frames from before it wait in a queue.

    A flushing seek throws those away, and times begin anew.
    """
    begin = (
        "videotestsrc is-live=true ! video/x-raw,format=RGB,width=96,height=96,framerate=20/1"
        " ! identity name=eye signal-handoffs=true"
        " ! queue leaky=downstream max-size-buffers=8 ! identity sleep-time=200000"
    )
    element = f"ropscreen socket={lasting_daemon} stored-pictures=true wait=true max-age-ms=60000"
    seen_ns: dict[int, int] = {}
    too_young_ms: list[float] = []
    with pipeline(plugins, f"{begin} ! {element}", "fakesink sync=false") as (running, next_said):
        played_ns = 0

        def until(enough: Callable[[dict[str, Any]], object]) -> None:
            end = time.monotonic() + 300
            while True:
                said = next_said()
                assert said, "the pipeline ended"
                assert time.monotonic() < end
                if said["kind"] == "eye":
                    seen_ns[said["pts"]] = said["seen-ns"]
                elif said["kind"] == "message" and said["captured-ns"]:
                    too_young_ms.append((said["captured-ns"] - seen_ns[said["pts"]]) / 1e6)
                if enough(said):
                    return

        def ask(what: str) -> None:
            assert running.stdin is not None
            running.stdin.write(f"{what}\n")
            running.stdin.flush()
            until(lambda said: said["kind"] == what)

        def is_young(said: dict[str, Any]) -> bool:
            """Of a frame that was captured since the pipeline plays, and dated so."""
            return bool(said["kind"] == "message" and said["captured-ns"] > played_ns)

        until(is_young)
        for pause_s in pauses_s:
            if isinstance(pause_s, str):
                ask("seek")
            else:
                ask("pause")
                time.sleep(pause_s)
                ask("play")
            played_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            until(is_young)
    assert max(too_young_ms) <= 0


def test_started_and_stopped_fifty_times_nothing_is_left(plugins: Path, lasting_daemon: Path) -> None:
    begin = "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1,colorimetry=bt709"
    text = f"{begin} ! ropscreen socket={lasting_daemon} stored-pictures=true ! fakesink"
    script = [SYSTEM_PYTHON, str(HERE / "gstreamer_cycles.py"), text, "51"]
    traced = environment(plugins) | {"GST_TRACERS": "leaks", "GST_DEBUG": "GST_TRACER:7", "GST_DEBUG_NO_COLOR": "1"}
    done = subprocess.run(script, capture_output=True, text=True, timeout=900, env=traced)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["readings"] >= 17
    assert found["errors"] == 0
    for late, early in zip(found["late"], found["early"], strict=True):
        assert late <= early
    assert "object-alive, type-name=(string)%s" in done.stderr  # the tracer was at work
    assert [line for line in done.stderr.splitlines() if "object-alive, type-name=(string)" in line][1:] == []

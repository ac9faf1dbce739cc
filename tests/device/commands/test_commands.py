"""`python -m device`: every command, its refusals and its exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import device.live.source
from device.__main__ import COMMANDS, main
from device.cameras import listing
from device.cameras.listing import CameraInfo
from device.cameras.mode import Mode
from device.commands import telemetry
from device.commands.probe import PERCENTILES_NEED, probe
from device.errors import Disconnected, FrameUnreadable, PortUnusable
from device.light import BoardLink, SimulatedBoard
from device.live import LiveReader, Tap
from device.telemetry import ClockFrequency, Telemetry, Temperature, ThrottleCount
from runtime.percentiles import samples_needed
from tests.busy import at_a_calm_moment
from tests.device.light.conftest import FAST
from tests.device.light.waiting import wait_until
from tests.device.live.scripted import Hang, Opener, Step, picture
from tests.pictures import stored_bgr

ROOT = Path(__file__).parents[3]


def test_without_a_command_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["cammeras"]) == 2
    said = capsys.readouterr().err
    assert "got nothing as the command" in said
    assert "got 'cammeras'" in said
    assert all(name in said for name in COMMANDS)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"python -m device {command}" in capsys.readouterr().out


def test_cameras_are_listed_with_what_they_can_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        CameraInfo("camera:/dev/video0", "v4l2", "USB Camera", modes=tuple(Mode("MJPG", 640, n) for n in range(10))),
        CameraInfo("aravis:S1", "aravis", "Maker Model", serial="S1", problem="busy, another program holds it"),
    ]
    monkeypatch.setattr(listing, "list_cameras", lambda: found)
    assert main(["cameras"]) == 0
    text = capsys.readouterr().out
    assert "MJPG 640x7 and 2 more" in text
    assert "serial S1" in text
    assert "cannot be opened: busy, another program holds it" in text
    assert main(["cameras", "--json"]) == 0
    assert [camera["source"] for camera in json.loads(capsys.readouterr().out)] == ["camera:/dev/video0", "aravis:S1"]


def test_the_simulated_cameras_are_among_those_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cameras", "--json"]) == 0
    assert "sim:device=retcam" in [camera["source"] for camera in json.loads(capsys.readouterr().out)]


def test_probe_measures_the_simulated_camera(capsys: pytest.CaptureFixture[str]) -> None:
    def is_measured() -> None:
        code = main(["probe", "sim:fps=25,size=96x72", "--seconds", "1", "--json"])
        found = json.loads(capsys.readouterr().out)
        assert found["asked"] == {"fps": 25, "width": 96, "height": 72}
        assert (found["width"], found["height"]) == (96, 72)
        assert found["rate_hz"] * (1 + found["missed"] / found["frames"]) == pytest.approx(25, rel=0.05)
        assert found["interval_p50"] == pytest.approx(40, rel=0.01)
        assert 0 <= found["age_p50"] < 40
        assert (found["jitter_p95"], found["age_p99"]) == (None, None), "25 frames say nothing about either"
        assert code == (1 if found["shortfalls"] else 0)

    at_a_calm_moment(is_measured)
    assert {p: samples_needed(p) for p in PERCENTILES_NEED} == PERCENTILES_NEED
    assert main(["probe", "sim:fps=50,size=96x72", "--seconds", "0.3"]) in (0, 1)
    said = capsys.readouterr().out
    assert "96 x 72" in said
    assert re.search(r"jitter p95 n too small \(\d+ of 130\), p99 n too small", said)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put scripted cameras in the place of `fake:...`; the first begins once somebody listens."""
    start = Hang()
    original = LiveReader.tap

    @contextmanager
    def tap(reader: LiveReader, room: int) -> Iterator[Tap]:
        with original(reader, room) as opened:
            start.free.set()
            yield opened

    monkeypatch.setattr(LiveReader, "tap", tap)

    def use(first: list[Step], *scripts: list[Step]) -> None:
        opener = Opener([start, *first], *scripts)
        monkeypatch.setattr(device.live.source, "open_camera", lambda *_, **__: opener())

    return use


def test_probe_says_what_a_camera_does_not_give(scripted: Any, capsys: pytest.CaptureFixture[str]) -> None:
    torn = FrameUnreadable("torn", source="fake", sequence=2)
    scripted([picture(0), picture(1), torn, picture(3, 1), picture(6), None])
    assert main(["probe", "camera:0,width=640,height=8,fps=30"]) == 1
    text = capsys.readouterr().out
    assert "NOT AS ASKED: set width=640, camera gave 8" in text
    assert "set height" not in text
    assert "NOT AS ASKED: 1 frames were repeated pictures" in text
    assert "missed 4, unreadable 1, repeated 1, stalls 0" in text


def test_probe_says_when_a_camera_is_lost(scripted: Any) -> None:
    scripted([picture(0), Disconnected("gone")], [picture(0, 7), picture(1), None])
    found = probe("camera:0", 5)
    assert found.stalls == 1
    assert found.frames == 3
    assert found.shortfalls == ["it stalled or was lost 1 times"]


def test_probe_tells_what_came_before_a_camera_was_lost_for_longer(scripted: Any) -> None:
    scripted([picture(0), picture(1), Disconnected("gone")], [Hang()])
    found = probe("camera:0", 1)
    assert (found.frames, found.stalls) == (2, 1)
    assert found.shortfalls == ["it stalled or was lost 1 times"]


def test_probe_of_stored_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    assert main(["probe", str(tmp_path)]) == 2
    assert "stored pictures have no rate" in capsys.readouterr().err


def test_grab_writes_what_the_frame_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "frames"
    assert main(["grab", "sim:seed=3,size=96x72", "-n", "3", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "000000.json", "000000.png", "000001.json", "000001.png", "000002.json", "000002.png",
    ]  # fmt: skip
    with device.open_camera("sim:seed=3,size=96x72") as camera:
        frame = camera.read()
    assert frame is not None
    facts = json.loads((out / "000000.json").read_text())
    assert facts["sha256"] == frame.sha256
    assert facts["schema"] == "rop.frame/1"
    assert {"captured_at", "captured_ns", "sequence", "source", "width", "height", "file"} <= set(facts)
    assert (stored_bgr(out / "000000.png")[:, :, ::-1] == frame.pixels).all()
    with Image.open(out / "000000.png") as written:
        assert written.info == {}
    assert capsys.readouterr().out.split() == [str(out / f"00000{n}.png") for n in range(3)]
    assert main(["grab", "sim:", "--out", str(out)]) == 2
    assert "holds 00000" in capsys.readouterr().err


def test_grab_leaves_no_live_frame_out_and_says_when_there_were_too_few(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = FrameUnreadable("fake#2: torn", source="fake", sequence=2)
    scripted([picture(0), picture(1), torn, picture(3), None])
    assert main(["grab", "camera:0", "-n", "9", "--out", str(tmp_path / "out")]) == 1
    assert sorted(path.stem for path in (tmp_path / "out").glob("*.png")) == ["000000", "000001", "000003"]
    said = capsys.readouterr().err
    assert "fake#2: torn" in said
    assert "got 3 frames, expected 9" in said


def test_grab_does_not_go_on_for_ever_with_a_camera_that_repeats_itself(
    scripted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted([picture(0), *(picture(number, 0) for number in range(1, 10_000))])
    assert main(["grab", "camera:0", "-n", "2", "--timeout", "0.2", "--out", str(tmp_path / "out")]) == 1
    assert "the camera gave the same picture again" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["grab", "sim:size=96x72", "--out", str(tmp_path / "file")]) == 2
    assert "name a folder that can be written" in capsys.readouterr().err


@pytest.fixture
def board(patient: None) -> Iterator[SimulatedBoard]:
    with SimulatedBoard(ceilings=FAST) as simulated:
        yield simulated


def test_light_status_and_dose(board: SimulatedBoard, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["light", "status", board.port, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["board_id"] == "000000000000051d"
    assert "interlock closed" in status["flags"]
    assert main(["light", "fire", board.port, "--flash-us", "2000", "--level", "100", "--no-eye"]) == 0
    assert "flash 1: 2000 us at level 100" in capsys.readouterr().out
    assert main(["light", "dose", board.port, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flash_level_us"] == 200_000
    assert main(["light", "status", board.port]) == 0
    assert "max flash us     20000" in capsys.readouterr().out


def test_light_set_holds_the_light_and_puts_it_out(board: SimulatedBoard, capsys: pytest.CaptureFixture[str]) -> None:
    def holds_it() -> None:
        before = len(board.light_changes)
        assert main(["light", "set", board.port, "70", "--seconds", "0.7", "--no-eye"]) == 0
        (first, first_ns), (last, last_ns) = [(each.level, each.at_ns) for each in board.light_changes[before:]]
        assert (first, last) == (70, 0)
        assert (last_ns - first_ns) / 1e9 >= 0.7, "past the watchdog's half second"

    at_a_calm_moment(holds_it, failures=(AssertionError, ValueError))
    assert capsys.readouterr().out.splitlines()[-1] == "light off"
    assert main(["light", "stop", board.port]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["light"], "got no command"),
        (["light", "set", "x", "5"], "--no-eye"),
        (
            ["light", "fire", "x", "--flash-us", "1", "--level", "70000", "--no-eye"],
            "expected a whole number from 1 to",
        ),
        (["light", "set", "x", "0", "--no-eye"], "got '0'"),
        (["light", "--simulate", "--lost", "2"], "expected a share from 0 to 1"),
        (["grab", "sim:", "-n", "0"], "got '0'"),
        (["probe", "sim:", "--seconds", "nan"], "expected a number above zero"),
        (["probe"], "SOURCE"),
    ],
)
def test_a_wrong_call_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_what_goes_wrong_with_a_board_is_1_and_what_is_no_board_is_2(
    board: SimulatedBoard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board.set_interlock(False)
    assert main(["light", "set", board.port, "5", "--no-eye"]) == 1
    assert "the interlock is open; close it" in capsys.readouterr().err
    board.set_interlock(True)

    def unplugged(link: BoardLink) -> None:
        raise PortUnusable(f"{link.url}: the port is gone")

    monkeypatch.setattr(BoardLink, "fire", unplugged)
    assert main(["light", "fire", board.port, "--flash-us", "900", "--level", "7", "--no-eye"]) == 1
    assert "the port is gone" in capsys.readouterr().err
    assert main(["light", "status", "/dev/no-such-port"]) == 2
    assert "no such port" in capsys.readouterr().err


def test_an_open_interlock_ends_the_light_with_its_reason(
    board: SimulatedBoard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = BoardLink.set_led

    def open_after(link: BoardLink, level: int) -> None:
        original(link, level)
        board.set_interlock(False)

    monkeypatch.setattr(BoardLink, "set_led", open_after)
    assert main(["light", "set", board.port, "5", "--seconds", "20", "--no-eye"]) == 1
    printed, said = capsys.readouterr()
    assert "event: interlock 0" in printed
    assert "the board put the light out" in said


@pytest.mark.system
@pytest.mark.usefixtures("patient")
def test_a_simulated_board_runs_until_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    argv = [sys.executable, "-m", "device", "light", "--simulate"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as program:
        try:
            assert program.stdout is not None
            assert program.stderr is not None
            port = program.stdout.readline().strip()
            assert main(["light", "fire", port, "--flash-us", "900", "--level", "7", "--no-eye"]) == 0
            assert "simulated board" in program.stderr.readline()
            assert program.stderr.readline() == "flash 900 us at level 7\n"
            program.send_signal(signal.SIGINT)
            said = program.stderr.read()
        finally:
            program.kill()
    assert program.returncode == 130
    assert "Traceback" not in said


@pytest.mark.system
def test_ctrl_c_ends_a_probe_at_once() -> None:
    argv = [sys.executable, "-m", "device", "probe", "sim:fps=0.01,size=96x72", "--seconds", "1000"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as program:
        assert program.stderr is not None
        assert wait_until(lambda: "numpy" in Path(f"/proc/{program.pid}/maps").read_text()), "it is none of ours yet"
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(1.5)  # it is waiting for its second frame, or still being imported: either must end quietly
        program.send_signal(signal.SIGINT)
        said = program.stderr.read()
    assert program.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in said


def test_telemetry_for_people_and_for_machines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = Telemetry(
        machine="Orin",
        clocks=(ClockFrequency("gpu", 612.4, 918.0), ClockFrequency("cpu0", 1500.0)),
        temperatures=(Temperature("soc", 48.25, 99.0),),
        throttling=("over-current",),
        throttle_counts=(ThrottleCount("cpu", 3), ThrottleCount("gpu", 0)),
        power_mode="MAXN",
        problems=("vdd_in: Permission denied",),
    )
    monkeypatch.setattr(telemetry, "read_telemetry", lambda: reading)
    assert main(["telemetry"]) == 0
    text = capsys.readouterr().out
    assert "Orin, power mode MAXN" in text
    assert "clocks: gpu 612/918 MHz, cpu0 1500 MHz" in text
    assert "temperatures: soc 48.2/99 C" in text
    assert "throttled by: over-current" in text
    assert "throttled since start: cpu 3\n" in text
    assert "cannot be read: vdd_in: Permission denied" in text
    assert main(["telemetry", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["machine"] == "Orin"


def test_telemetry_goes_on_until_ctrl_c(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("device.commands.telemetry.time.sleep", nap)
    assert main(["telemetry", "--watch", "0.5", "--json"]) == 130
    assert naps == [0.5] * 3
    assert len(capsys.readouterr().out.splitlines()) == 3

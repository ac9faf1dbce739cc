"""`run --config cart.toml` on what stands in for real parts: cameras by their protocols, a board on a pty, Orthanc."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.pictures import decoded_bgr

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.light import sign_calibration
from device.light.simulated import SimulatedBoard
from runtime.cart.demo.parts import PIN, USER, demonstration_calibration
from runtime.cart.users import new_user, save_users
from runtime.exam.journal.crypt import write_new_key
from tests.device.cameras import servers
from tests.ports import free_port
from tests.runtime.cart.driving import PATIENCE_S, on_screen, until
from tests.runtime.cart.quick import INFANT_FIELDS
from tests.runtime.dicom.archives import ORTHANC_DICOM, Orthanc
from tests.runtime.dicom.conftest import orthanc, private_network, running_orthanc  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).parents[3]
SIXTEEN = (4608, 3456)


class Client:
    """A nurse's, of a cart in another process."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}api/1/", timeout=PATIENCE_S)
        answer = self.http.post("sign-in", json={"name": USER, "pin": PIN})
        assert answer.is_success, answer.text
        self.http.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def done(self, path: str, body: object = None) -> dict[str, Any]:
        """Change, which must work."""
        answer = self.http.post(path, json=body or {})
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def capture(self) -> dict[str, Any]:
        """One picture of what the screen shows; pressed again where the cart says so, as it was busy for too long."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.http.post("capture", json=on_screen(self.http.get("state").json()["exam"]))
            wait_s = None if answer.is_success else answer.json().get("retry_s")
            if not wait_s or time.monotonic() > deadline:
                break
            time.sleep(wait_s)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()["capture"]
        return found

    def picture(self) -> dict[str, Any]:
        """`capture`, again where no frame came within the cart's two seconds, as on a busy machine."""
        deadline = time.monotonic() + PATIENCE_S
        while "image" not in (taken := self.capture())["pictures"] and time.monotonic() < deadline:
            assert "no frame within" in taken["reason"], taken
        return taken

    def problems(self) -> dict[str, str]:
        """What is wrong."""
        return {part["name"]: part["problem"] for part in self.http.get("welcome").json()["health"] if part["problem"]}


@contextmanager
def running(folder: Path, camera: str, more: str = "") -> Iterator[Client]:
    """`run` in a process of its own, as systemd starts it."""
    write_new_key(folder / "journal.key")
    save_users(folder / "users.json", (new_user(USER, "Nurse", PIN),))
    (folder / "cart.toml").write_text(
        'schema = "rop.cart/1"\nstation = "REAL"\nkey_file = "journal.key"\nusers = "users.json"\n'
        'languages = ["fr", "sw"]\n'
        f"[web]\nport = 0\n[camera]\n{camera}\nbudget_ms = 60000\n{more}"
    )
    words = [sys.executable, "-m", "runtime.cart", "run", "--config", str(folder / "cart.toml")]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("The cart: ").strip()
            client = Client(url)
            assert [one["code"] for one in client.http.get("welcome").json()["languages"]] == ["fr", "sw"]
            until(lambda: not client.problems(), "every part ready")
            opened = client.done("exams", {"infant": INFANT_FIELDS, "wrist_band_checked": True})
            client.done("aim", {"exam": opened["exam"], "eye": "OD", "view": "disc-centred"})
            yield client
            client.http.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) in (0, 128 + signal.SIGTERM)
        finally:
            process.kill()


def light_of(folder: Path, board: SimulatedBoard) -> str:
    """`[light]` for a board, with a laboratory's signed calibration."""
    key = Ed25519PrivateKey.generate()
    (folder / "laboratories").mkdir()
    (folder / "laboratories" / "lab.pem").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (folder / "board.calibration").write_bytes(sign_calibration(demonstration_calibration(0x51D), key))
    return (
        f'[light]\nport = "{board.port}"\ncalibration = "board.calibration"\ntrusted_keys = "laboratories"\n'
        "led_level = 800\n"
    )


def test_a_gige_camera_a_board_and_orthanc(tmp_path: Path, orthanc: Orthanc) -> None:  # noqa: F811 (the fixture)
    node = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM}
    site = {"schema": "rop.dicom/1", "cart": {"page": False}, "archive": {**node, "proof": "find"}, "worklist": node}
    (tmp_path / "dicom.json").write_text(json.dumps(site))
    with servers.gige_camera(), SimulatedBoard() as board:
        more = light_of(tmp_path, board) + '[site]\ndicom = "dicom.json"\n'
        with running(tmp_path, 'source = "aravis:127.0.0.1"', more) as client:
            assert client.done("worklist/refresh")["problem"] == ""
            exam = client.http.get("state").json()["exam"]["exam"]
            until(lambda: client.done("light", {"exam": exam, "on": True}) and board.led_level, "the board shines")
            assert client.capture()["outcome"] in ("RETAKE", "NO_RESULT")  # a test picture is no retina
            client.done(f"exams/{exam}/stop", {"cause": "equipment"})
            until(lambda: not board.led_level, "dark after the exam")

            def delivered() -> bool:
                found = client.http.get("exams").json()["exams"]
                return bool(found[0]["delivery"]["state"] == "done")

            until(delivered, "Orthanc answers for it")
            assert orthanc.instances()


@pytest.mark.parametrize("kind", ["mjpeg", "rtsp"])
def test_a_camera_on_the_network(tmp_path: Path, kind: str) -> None:
    port = free_port()
    serves, url = {
        "mjpeg": (servers.mjpeg_over_http, f"http://127.0.0.1:{port}/eye"),
        "rtsp": (servers.rtsp, f"rtsp://127.0.0.1:{port}/eye"),
    }[kind]
    with serves(port), running(tmp_path, f'source = "{url}"') as client:
        taken = client.picture()
        assert (taken["outcome"], "image" in taken["pictures"]) in [("RETAKE", True), ("REFER", True)]
        preview = client.http.get("preview?after=0")
        assert preview.headers["content-type"] == "image/jpeg"


class MakersCamera:
    """As makers write them: 720p MJPEG to whoever looks, and a 16 MP still for a GET, two seconds later."""

    def __init__(self) -> None:
        with SimulatedCamera(SimulatedConfig(seed=6, size=(720, 720), frames_per_eye=3)) as camera:
            eye = camera.render(0)[0]
        wide = np.zeros((720, 1280, 3), np.uint8)
        wide[:, 280:1000] = eye
        self.eye = cv2.resize(wide, SIXTEEN, interpolation=cv2.INTER_LINEAR)
        self.small, self.asked, self.number = wide, 0, 0
        self.large = self.jpeg(self.eye)  # now, as the cart waits for eight seconds
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                (outer.still if self.path == "/still" else outer.stream)(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def jpeg(self, picture: Any) -> bytes:
        """Encoded, none like the one before."""
        self.number += 1
        stamped = picture.copy()
        stamped[:8, :8] = self.number % 200
        return bytes(cv2.imencode(".jpg", cv2.cvtColor(stamped, cv2.COLOR_RGB2BGR))[1])

    def still(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        time.sleep(2)
        data = self.large
        handler.send_response(200)
        handler.send_header("Content-Type", "image/jpeg")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def stream(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        try:
            while True:
                data = self.jpeg(self.small)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                handler.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(0.1)
        except OSError:
            return

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_a_small_live_stream_and_a_still_of_16_megapixels_two_seconds_later(tmp_path: Path) -> None:
    with ExitStack() as ending:
        camera = MakersCamera()
        ending.callback(camera.close)
        source = f'source = "{camera.url}/live"\nstill = "{camera.url}/still"'
        client = ending.enter_context(running(tmp_path, source))
        taken = client.capture()
        answered = datetime.now(timezone.utc)
        assert camera.asked == 1
        assert taken["outcome"] in ("NO_REFERRAL_FINDINGS", "REFER", "RETAKE"), taken
        since = answered - datetime.fromisoformat(taken["captured_at"])
        assert since.total_seconds() > 2.0  # it is the press's, though it came two seconds later
        exam = client.http.get("state").json()["exam"]
        address = exam["captures"][0]["addresses"]["image"]
        shown = client.http.get(str(client.http.base_url).split("/api")[0] + address).content
        assert max(decoded_bgr(shown).shape[:2]) == 2048
        assert client.http.get("preview?after=0").status_code == 200

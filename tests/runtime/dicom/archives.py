"""Archives that were not written here: Orthanc and dcmtk's servers, each in a folder of its own, on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.dicom.configuration import DicomConfig

CART_PORT = 11113
ORTHANC_DICOM, ORTHANC_HTTP = 4242, 8042
STORESCP_PORT = 11112
WORKLIST_PORT = 11114
WORKLIST_PLUGIN = Path("/usr/share/orthanc/plugins/libModalityWorklists.so")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""An activated virtual environment would come first otherwise, and pynetdicom has a `storescp` of its own."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def system_program(name: str) -> str | None:
    """Where a program of the system is, None when it is not installed."""
    return shutil.which(name, path=SYSTEM_PATH)


def wait_until(condition: Callable[[], object], seconds: float = 300, what: str = "condition") -> None:
    """Look again and again, soon at first."""
    deadline, pause = time.monotonic() + seconds, 0.002
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Server:
    """A program that listens on a port."""

    def __init__(self, command: list[str], port: int, folder: Path) -> None:
        self.command, self.port, self.folder = command, port, folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        wait_until(lambda: accepts(self.port) or self._ended(), what=f"{self.command[0]} listening")

    def _ended(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command[0]} ended:\n{(self.folder / 'server.log').read_text()[-2000:]}")
        return False

    def kill(self) -> None:
        """As a power cut would end it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Orthanc(Server):
    """Orthanc with worklists and storage commitment."""

    def __init__(
        self, folder: Path, storage: Path | None = None, tls: dict[str, Path] | None = None, *, commitment: bool = True
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.worklists = folder / "worklists"
        self.worklists.mkdir(exist_ok=True)
        cart: dict[str, Any] = {
            "AET": "ROPCART",
            "Host": "127.0.0.1",
            "Port": CART_PORT,
            "AllowStorageCommitment": commitment,
        }
        config: dict[str, Any] = {
            "Name": "test",
            "StorageDirectory": str(storage or folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "HttpPort": ORTHANC_HTTP,
            "DicomPort": ORTHANC_DICOM,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowFindWorklist": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [str(WORKLIST_PLUGIN)] if WORKLIST_PLUGIN.exists() else [],
            "Worklists": {"Enable": True, "Database": str(self.worklists)},
            "DicomModalities": {"cart": cart},
        }
        if tls:
            config |= {
                "DicomTlsEnabled": True,
                "DicomTlsCertificate": str(tls["server_cert"]),
                "DicomTlsPrivateKey": str(tls["server_key"]),
                "DicomTlsTrustedCertificates": str(tls["authority"]),
            }
            cart["UseDicomTls"] = True
        path = folder / "orthanc.json"
        path.write_text(json.dumps(config))
        super().__init__(["Orthanc", str(path)], ORTHANC_DICOM, folder)

    def start(self) -> None:
        super().start()
        wait_until(lambda: accepts(ORTHANC_HTTP), what="Orthanc's REST interface")

    def rest(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{ORTHANC_HTTP}{path}", method=method)
        with _OPENER.open(request, timeout=120) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def instances(self) -> list[str]:
        """SOP Instance UIDs of everything it keeps, each as often as it is kept."""
        kept = self.rest("/instances?expand") or []
        return sorted(item["MainDicomTags"]["SOPInstanceUID"] for item in kept)

    def empty(self) -> None:
        for patient in self.rest("/patients"):
            self.rest(f"/patients/{patient}", "DELETE")


def storescp(folder: Path, *options: str, port: int = STORESCP_PORT) -> Server:
    """dcmtk's receiver, which has neither query nor commitment; a file an instance in `folder/in`."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    program = system_program("storescp") or "storescp"
    return Server([program, "-od", str(folder / "in"), "-aet", "STORESCP", *options, str(port)], port, folder)


def wlmscpfs(folder: Path) -> Server:
    """dcmtk's worklist server; worklist files go to `folder/ROPWL`."""
    (folder / "ROPWL").mkdir(parents=True, exist_ok=True)
    (folder / "ROPWL" / "lockfile").touch()
    return Server(["wlmscpfs", "-dfp", str(folder), str(WORKLIST_PORT)], WORKLIST_PORT, folder)


def site(folder: Path, **archive: Any) -> DicomConfig:
    """A site whose archive is Orthanc, unless something else is said."""
    whole = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM, "answer_s": 60, "commitment_s": 60}
    cart = {"manufacturer": "Camera Works", "model": "Wide 130", "field_of_view_deg": 130}
    cart["page"] = archive.pop("page", False)  # it takes longer than all the rest, and has tests of its own
    if "listen_port" in archive:
        cart["listen_port"] = archive.pop("listen_port")
    if "cart_tls" in archive:
        cart["tls"] = archive.pop("cart_tls")
    content = {"schema": "rop.dicom/1", "cart": cart, "archive": whole | archive}
    return DicomConfig.model_validate(content).model_copy(update={"folder": folder})


def installed(*programs: str) -> str | None:
    """What is missing, None when nothing is."""
    missing = [program for program in programs if system_program(program) is None]
    return f"not installed: {', '.join(missing)} (Debian: orthanc, dcmtk, dicom3tools)" if missing else None

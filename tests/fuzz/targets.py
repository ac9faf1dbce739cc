"""What is fuzzed: for each target a function of bytes that may refuse them in its own words, and bytes to begin with.

A target is made when it is asked for, so that what it imports can be instrumented first. Whatever else than its own
errors comes out of it is a fault, as are more than 2 s and memory that grows.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.fuzz.journal import journal_reader
from tests.fuzz.listener import dicom_listener
from tests.fuzz.memory import folder

Target = tuple[Callable[[bytes], None], list[bytes]]
"""The function, and its seeds."""


def daemon_messages() -> Target:
    """What a client sends to the daemon, and what a daemon sends to the client: as it comes, and with right sums."""
    from runtime.daemon.messages import FROM_CLIENT, FROM_DAEMON
    from runtime.daemon.wire import CRC, HEADER, ProtocolError, decode

    def summed(data: bytes) -> bytes:
        body = bytearray(data[: -CRC.size])
        if len(body) >= HEADER.size:
            magic, version, number, _, tag = HEADER.unpack_from(body)
            HEADER.pack_into(body, 0, magic, version, number, len(data), tag)
        return bytes(body) + CRC.pack(zlib.crc32(body))

    def one(data: bytes) -> None:
        for message in (data, summed(data)):
            for kinds in (FROM_CLIENT, FROM_DAEMON):
                try:
                    decode(message, kinds)
                except ProtocolError:
                    continue

    golden = Path(__file__).parents[2] / "runtime" / "daemon" / "golden_messages.json"
    return one, [bytes.fromhex(text) for text in _hexadecimal(json.loads(golden.read_text(encoding="utf-8")))]


def light_board() -> Target:
    """The line to the light board: both versions of the board, the host's ears, and bytes as frames with right sums.

    Each piece between zero bytes is then a frame: type, seq, connection (0, the one there is, or another), payload.
    """
    from device.light.board import Board, Ceilings
    from device.light.framing import FrameDecoder, RawFrame, encode_frame
    from device.light.messages import parse_answer

    ceilings = Ceilings(1000, 5000, 2000, 100)

    def framed(data: bytes, connected: bool) -> bytes:
        wire = b""
        for piece in data.split(b"\0"):
            if len(piece) >= 3:
                connection = (0, 7, 8)[piece[2] % 3] if connected else None
                wire += encode_frame(RawFrame(piece[0], piece[1], piece[3:67], connection))
        return wire

    def one(data: bytes) -> None:
        for draw in (None, lambda: 7):
            board = Board(7, ceilings, 0, draw)
            board.set_interlock(True, 0)
            board.receive(data, 10)
            board.receive(b"\0" + framed(data, draw is not None), 20)
            board.tick(600)
        for version in (1, 2):
            for frame in FrameDecoder(version).feed(data):
                parse_answer(frame)

    golden = Path(__file__).parents[2] / "device" / "light" / "golden_frames.json"
    entries = json.loads(golden.read_text(encoding="utf-8"))
    return one, [bytes.fromhex(entry["wire"]) for entry in entries]


def pictures() -> Target:
    """Files of pictures, of every kind that is read."""
    from device.cameras.files.decode import decode_picture

    return _of_files(".bin", lambda path: decode_picture(path)), _pictures()


def dicom_pictures() -> Target:
    """DICOM objects as pictures."""
    from device.cameras.files.decode import decode_picture

    return _of_files(".dcm", lambda path: decode_picture(path)), [_dicom()]


def manifests() -> Target:
    """A bundle's manifest, in a folder that holds nothing else."""
    from runtime.bundle import DEMONSTRATION, open_bundle
    from runtime.errors import BundleError

    place = folder()

    def one(data: bytes) -> None:
        (place / "manifest.json").write_bytes(data)
        try:
            open_bundle(place)
        except BundleError:
            return

    return one, [(DEMONSTRATION / "manifest.json").read_bytes()]


def profiles() -> Target:
    """A site's signed profile, once its signature was found right."""
    from pydantic import ValidationError

    from runtime.checked_json import NotJson, model_from
    from runtime.trust.profile import SiteProfile

    def one(data: bytes) -> None:
        try:
            model_from(SiteProfile, data)
        except (NotJson, ValidationError):
            return

    known = {"schema": "rop.site/1", "site": "Ward 4", "issued": "2026-01-01", "expires": "2026-12-01", "retakes": 2}
    return one, [json.dumps(known).encode()]


def dose_files() -> Target:
    """The account of light of a program without a journal."""
    from device.errors import DoseUnrecorded
    from device.light.dose_file import DoseFile

    def one(path: Path) -> None:
        try:
            DoseFile(path).close()
        except DoseUnrecorded:
            return

    when = "2026-06-01T00:00:00+00:00"
    return _of_files(".dose", one), [f'["OD", "led", 1, 1.0, "{when}"]\n["OS", "flash", 5, 0.1, "{when}"]\n'.encode()]


TARGETS: dict[str, Callable[[], Target]] = {
    "daemon-messages": daemon_messages,
    "light-board": light_board,
    "pictures": pictures,
    "dicom-pictures": dicom_pictures,
    "manifests": manifests,
    "profiles": profiles,
    "dose-files": dose_files,
    "journal-reader": journal_reader,
    "dicom-listener": dicom_listener,
}
LONGEST = {"pictures": 65_536, "dicom-pictures": 16_384}
"""Bytes that an input may have; of the others 4096."""


def _of_files(ending: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """A target that reads a file, in memory where the system has a place for that."""
    from device.errors import FrameUnreadable

    path = folder() / f"input{ending}"

    def one(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read(path)
        except FrameUnreadable:
            return

    return one


def _hexadecimal(content: object) -> Iterable[str]:
    """Every text in some JSON that is bytes in hexadecimal."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _hexadecimal(part)
    elif isinstance(content, str) and len(content) > 16:
        try:
            bytes.fromhex(content)
        except ValueError:
            return
        yield content


def _pictures() -> list[bytes]:
    from PIL import Image

    from tests.pictures import retina

    picture = Image.fromarray(retina(1, 96, 96)).resize((32, 32))
    found = []
    for kind, options in (
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("JPEG2000", {}),
    ):
        out = io.BytesIO()
        picture.save(out, kind, **options)
        found.append(out.getvalue())
    return found


def _dicom() -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.77.1.5.1")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3")
    dataset.Rows = dataset.Columns = 8
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = bytes(range(192))
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()

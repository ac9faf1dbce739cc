"""rop-read, built with the sanitizers: it reads as Python does, and refuses whatever it cannot obey."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from build_engines.__main__ import main
from device.cameras import open_camera
from device.cameras.files.decode import decode_picture
from device.errors import FrameUnreadable
from device.frame import Frame
from device.signature import signature_line
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.cpu_class import cpu_class
from runtime.quality import COLOURS, DRAWN_OVER, FIELD, TORN, UNFAMILIAR
from runtime.screener import Screener
from runtime.trust.issues import Issues
from runtime.trust.told import SiteAnchor
from tests.build_engines.native.building import NATIVE, build, learnt, listed, readable_bundle, run, with_learnt
from tests.build_engines.native.hostile import hostile_files
from tests.pictures import retina
from tests.runtime.test_structure import MADE
from tests.runtime.trust.conftest import public_pem

pytestmark = pytest.mark.system
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another build can be held against these tests: its path in ROP_READ."""
    if named := os.environ.get("ROP_READ"):
        return Path(named)
    return build(tmp_path_factory.mktemp("native"), "-DSANITIZE=ON", "-DCMAKE_CXX_FLAGS=-O0")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return readable_bundle(tmp_path_factory.mktemp("kept") / "bundle")


@pytest.fixture
def bundle(kept: Bundle, tmp_path: Path) -> Bundle:
    """One that a test may spoil."""
    shutil.copytree(kept.path, tmp_path / "bundle")
    return open_bundle(tmp_path / "bundle")


@pytest.fixture(scope="session")
def familiar_text(kept: Bundle) -> str:
    """A learnt test for tiny networks, whose limit lies between drawn retinas."""
    return json.dumps(learnt(kept))


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """Frames of every outcome that tiny networks have, of the least size, of none, and strips."""
    frames = {f"retina{seed}": retina(seed, 320 + seed, 240 + 3 * seed) for seed in range(4)}
    frames["large"] = retina(5, 1001, 967)
    frames["least"] = retina(6, 64, 64)
    frames["small"] = retina(7, 63, 80)
    frames["strip"] = retina(8, 400, 100)
    frames["dark"] = retina(9) // 8
    frames["blurred"] = cv2.GaussianBlur(retina(10), (0, 0), 4)
    frames["noise"] = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    frames |= spoilt_in_structure(retina(11, 640, 480), retina(12, 640, 480))
    frames["notched"] = retina(11, 640, 480)
    frames["notched"][190:290, 540:] = 0
    for name, pixels in frames.items():
        cv2.imwrite(str(folder / f"{name}.png"), pixels[..., ::-1])
    return frames


def spoilt_in_structure(one: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """Every way of tests/runtime/test_structure.py, of drawn retinas; and one frame that is large and torn."""
    made = {f"{make.__name__}{number}": make(one, other) for number, (make, _) in enumerate(MADE)}
    large = np.asarray(cv2.resize(one, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)
    large[700:] = np.roll(large[700:], 200, axis=1)
    return made | {"large and torn": large}


def changed(bundle: Bundle, change: Change) -> Path:
    path = bundle.path / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return bundle.path


def test_it_is_small() -> None:
    files = [path for path in NATIVE.rglob("*") if path.suffix in (".cpp", ".hpp")]
    code = [line for path in files for line in path.read_text().splitlines() if line.strip()]
    assert len([line for line in code if not line.strip().startswith("//")]) < 2000


def test_it_passes_every_stage_vector(program: Path, kept: Bundle) -> None:
    done = run(program, "--bundle", kept.path, "--vectors")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("12 frames in fp32: 0 not met\n")


def test_installed_it_takes_little_room_and_reads(program: Path, kept: Bundle, tmp_path: Path) -> None:
    assert run("cmake", "--install", program.parent, "--prefix", tmp_path).returncode == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150e6
    libraries = {path.name.partition(".so")[0] for path in files} - {"rop-read"}
    assert len(libraries) == 4, libraries
    done = run(tmp_path / "bin" / "rop-read", "--bundle", kept.path, "--vectors", environment={"LD_LIBRARY_PATH": ""})
    assert (done.returncode, done.stderr) == (0, "")


def test_its_readings_are_pythons(program: Path, kept: Bundle, tmp_path: Path) -> None:
    readings = compared(program, kept, pictures(tmp_path), tmp_path)
    assert {"RETAKE", "NO_RESULT"} < {reading["outcome"] for reading in readings.values()}
    said = " ".join(reading["reason"] for reading in readings.values() if reading["timings_ms"]["segment"])
    for reason in (TORN, FIELD, DRAWN_OVER, COLOURS):
        assert reason in said, f"no frame passed the gate and was refused for {reason}"


def compared(program: Path, bundle: Bundle, frames: dict[str, np.ndarray], folder: Path) -> dict[str, dict[str, Any]]:
    """Its readings of frames that lie in the folder, which are Python's in everything but times and last digits."""
    done = run(program, "--bundle", bundle.path, *(folder / f"{name}.png" for name in frames))
    assert (done.returncode, done.stderr) == (0, "")
    readings = {}
    with Screener(bundle, engine="openvino", reject_repeats=False) as screener:
        for (name, pixels), line in zip(frames.items(), done.stdout.splitlines(), strict=True):
            got, wanted = json.loads(line), screener.screen(Frame(pixels, 0, f"{name}.png")).to_dict()
            readings[name] = got
            assert got.keys() == wanted.keys()
            assert {k: got["frame"][k] for k in ("source", "sha256", "width", "height")} == {
                k: wanted["frame"][k] for k in ("source", "sha256", "width", "height")
            }
            for key in ("outcome", "reason", "bundle", "late", "budget_ms"):
                assert got[key] == wanted[key], name
            for key in ("quality", "probabilities"):
                assert (got[key] is None) == (wanted[key] is None)
                assert list(got[key] or {}) == list(wanted[key] or {})
                for measure, value in (wanted[key] or {}).items():
                    exact = measure in ("gradable", "reasons")
                    wanted_value = value if exact else pytest.approx(value, rel=1e-3, abs=1e-5)
                    assert got[key][measure] == wanted_value, (name, measure)
            assert (got["vessel_fraction"] is None) == (wanted["vessel_fraction"] is None)
            assert (got["vessel_fraction"] or 0) == pytest.approx(wanted["vessel_fraction"] or 0, abs=1e-4)
            ran = [{stage for stage, ms in side["timings_ms"].items() if ms is not None} for side in (got, wanted)]
            assert ran[0] - {"capture"} == ran[1] - {"capture"}
            assert got["timings_ms"].keys() == wanted["timings_ms"].keys()
            assert got["trust"].keys() == wanted["trust"].keys()
            assert got["engine"].keys() == wanted["engine"].keys()
    return readings


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda m: m.update(familiar={"threshold": 0.5}), "says familiar, which this rop-read does not know"),
        (
            lambda m: m["files"].append({**m["files"][0], "path": "reference/likely.json"}),
            "a test that this rop-read",
        ),
        (lambda m: m["gate"].update(strangeness_max=1.0), "gate: says strangeness_max"),
        (lambda m: m["gate"].pop("detail_min"), "has no limit detail_min"),
        (lambda m: m.update(gate=None), "does not state its resize and the limits of its gate"),
        (lambda m: m["resize"].update(keep_at_least=512), "got 512, expected 480 to 480"),
        (lambda m: m["input"].update(color="BGR"), "got BGR, expected RGB"),
        (lambda m: m.update(disease="glaucoma"), "got glaucoma"),
        (lambda m: m.update(schema="rop.bundle/2"), "got rop.bundle/2"),
        (lambda m: m.update(clinical_use=True), "nobody is configured who vouches"),
        (lambda m: m.update(clinical_use="false"), "expected true or false"),
        (lambda m: m.update(refer_threshold=1.5), "more than 0 and less than 1"),
        (lambda m: m.update(expires="2020-01-01"), "expired on 2020-01-01"),
        (lambda m: m["files"].pop(), "is missing|not among the files|not in its manifest"),
        (lambda m: m["files"][0].update(path="../" + m["files"][0]["path"]), "relative path inside"),
        (lambda m: m.update(saved_graphs=[]), "holds no saved graphs of fp32"),
        (lambda m: m["classes"].reverse(), "of other classes than the bundle's"),
        (lambda m: m.update(refer_threshold=0.19), "by another threshold or gate than the manifest's"),
        (lambda m: m["gate"].update(redness_min=0.0), "by another threshold or gate than the manifest's"),
        (lambda m: m["gate"].update(relief_min=0.0), "by another threshold or gate than the manifest's"),
    ],
)
def test_a_bundle_that_it_cannot_obey_is_refused(program: Path, bundle: Bundle, change: Change, expected: str) -> None:
    done = run(program, "--bundle", changed(bundle, change), "--vectors")
    assert done.returncode == 2
    assert done.stdout == ""
    assert any(part in done.stderr for part in expected.split("|")), done.stderr


def test_what_is_no_fundus_is_refused_as_python_refuses_it(
    program: Path, bundle: Bundle, familiar_text: str, tmp_path: Path
) -> None:
    readings = compared(program, with_learnt(bundle, json.loads(familiar_text)), pictures(tmp_path), tmp_path)
    refused = {name for name, reading in readings.items() if reading["reason"] == UNFAMILIAR}
    asked = {name for name, reading in readings.items() if "strangeness" in (reading["quality"] or {})}
    assert refused
    assert refused < asked
    for name in refused:
        assert (readings[name]["outcome"], readings[name]["quality"]["reasons"]) == ("RETAKE", [UNFAMILIAR])


def test_the_shipped_bundles_readings_are_pythons(program: Path, tmp_path: Path) -> None:
    """With saved graphs for this CPU: simulated frames, drawn retinas, and what is no fundus."""
    folder = tmp_path / "bundle"
    shutil.copytree(DEMONSTRATION, folder)
    assert main(["ir", str(folder), "--cpu-class", cpu_class() or "avx2"]) == 0
    frames = {"drawn": retina(0, 640, 480), "wide": retina(3, 1280, 720), "natural": natural(1), "leaves": natural(2)}
    for device in ("retcam", "neo"):
        with open_camera(f"sim:device={device},seed=7,frames=2,size=640x480") as camera:
            while (frame := camera.read()) is not None:
                frames[f"{device}{frame.sequence}"] = frame.pixels
    for name, pixels in frames.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels[..., ::-1])
    readings = compared(program, open_bundle(folder), frames, tmp_path)
    assert readings["drawn"]["reason"] == UNFAMILIAR
    assert readings["natural"]["outcome"] == readings["leaves"]["outcome"] == "RETAKE"
    assert any(reading["outcome"] in ("REFER", "NO_REFERRAL_FINDINGS") for reading in readings.values())
    assert sum("strangeness" in (reading["quality"] or {}) for reading in readings.values()) >= 4


def natural(seed: int) -> np.ndarray:
    """Blobs of every size in a fundus's colours, inside a round border: what leaves or a face may look like."""
    rng = np.random.default_rng(seed)
    sizes = (4, 8, 16, 32)
    grey = sum(size * cv2.resize(rng.random((480 // size,) * 2), (480, 480)) for size in sizes) / sum(sizes)
    picture = np.stack([60 + 190 * grey, 20 + 130 * grey, 10 + 70 * grey], axis=2).astype(np.uint8)
    y, x = np.mgrid[:480, :480] - 239.5
    picture[x * x + y * y > 235**2] = 0
    return picture


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "of another graph": (lambda f: f.update(segmentation_sha256="0" * 64), "of another segmentation graph"),
    "of another schema": (lambda f: f.update(schema="rop.familiar/2"), "of another schema"),
    "says more": (lambda f: f.update(second_limit=1.0), "says second_limit, which this rop-read does not know"),
    "without a limit": (lambda f: f.pop("limit"), "limit is missing"),
    "limit of nothing": (lambda f: f.update(limit=0), "limit: expected more than 0"),
    "limit in words": (lambda f: f.update(limit="9"), "limit: expected a number"),
    "limit beyond float32": (lambda f: f.update(limit=1e39), "limit: is beyond float32"),
    "limit not finite": (lambda f: f.update(limit=float("inf")), "is not JSON"),
    "negative rest": (lambda f: f.update(rest=-1.0), "rest: expected more than 0"),
    "a scale of nothing": (lambda f: f["scale"].__setitem__(2, 0.0), "scale.2: expected more than 0"),
    "a scale too few": (lambda f: f["scale"].pop(), "scale: has 5 numbers, expected 6"),
    "an axis too short": (lambda f: f["axes"][1].pop(), "axes.1: has 5 numbers, expected 6"),
    "no axes": (lambda f: f.update(axes=[], variances=[]), "axes: has 0 entries, expected 1 to 256"),
    "a variance too many": (lambda f: f["variances"].append(1.0), "variances: has 3 numbers, expected 2"),
    "a variance below nothing": (lambda f: f.update(variances=[1.0, -1.0]), "variances.1: expected more than 0"),
    "a mean that is none": (lambda f: f["mean"].__setitem__(0, None), "mean.0: expected a number"),
    "no cameras": (lambda f: f.update(cameras={}), "cameras: names none"),
    "a camera of no frames": (lambda f: f.update(cameras={"a": {"frames": 0, "kept": 0}}), "expected 1 to"),
    "of another network": (
        lambda f: f.update(mean=[0.1] * 4, scale=[1.0] * 4, axes=[[1.0] * 4] * 2),
        "tells 4 numbers of a frame, its saved graphs give 6",
    ),
}


@pytest.mark.parametrize(("spoil", "expected"), SPOILT.values(), ids=SPOILT)
def test_a_learnt_test_that_cannot_be_made_is_refused(
    program: Path, bundle: Bundle, familiar_text: str, tmp_path: Path, spoil: Change, expected: str
) -> None:
    content = json.loads(familiar_text)
    spoil(content)
    done = run(program, "--bundle", with_learnt(bundle, content).path, tmp_path / "missing.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


def test_saved_graphs_that_tell_nothing_of_a_frame_are_refused(
    program: Path, bundle: Bundle, familiar_text: str
) -> None:
    """Graphs that were saved before there was a learnt test."""
    found = with_learnt(bundle, json.loads(familiar_text))
    for xml in found.path.rglob("segmentation.xml"):
        xml.write_text(xml.read_text().replace('names="encoded"', 'names="other"'))
    done = run(program, "--bundle", listed(found).path, "a.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "its saved graphs give 0; save them again" in done.stderr


def test_one_altered_byte_is_found_in_every_file(program: Path, bundle: Bundle) -> None:
    for entry in bundle.manifest.files:
        path = bundle.path / entry.path
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        done = run(program, "--bundle", bundle.path, "--vectors")
        assert done.returncode == 2
        assert f"{entry.path} was altered" in done.stderr
        path.write_bytes(content)


def test_a_wrong_answer_is_found_by_self_test_and_vectors(program: Path, bundle: Bundle) -> None:
    """Saved graphs that are whole, listed and wrong: what a hash alone does not see."""

    def exchange(manifest: dict[str, Any]) -> None:
        (path,) = {saved["folder"] for saved in manifest["saved_graphs"]}
        xml = bundle.path / path / "segmentation.xml"
        xml.write_text(xml.read_text().replace('type="Sigmoid"', 'type="Relu"'))
        for entry in manifest["files"]:
            if entry["path"].endswith("segmentation.xml"):
                content = xml.read_bytes()
                entry.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    done = run(program, "--bundle", changed(bundle, exchange), "--vectors")
    assert done.returncode == 2
    assert "self-test failed" in done.stderr


def keys_of(folder: Path) -> Path:
    (folder / "keys").mkdir()
    (folder / "keys" / "maker.pem").write_bytes(public_pem(KEY))
    return folder / "keys"


@pytest.mark.parametrize(
    "how",
    [
        "signed",
        "unsigned",
        "stranger",
        "altered",
        "spelled otherwise",
        "withdrawn",
        "older",
        "numbers changed",
        "older, told",
        "older, told but for a brace",
        "told, its end changed",
        "told, a digit changed",
        "open to all",
    ],
)
def test_with_keys_only_what_they_signed_is_read(program: Path, bundle: Bundle, tmp_path: Path, how: str) -> None:
    keys, state = keys_of(tmp_path), tmp_path / "state"
    state.mkdir()
    changed(bundle, lambda manifest: manifest["tools"].update(maker="1"))
    path, signature = bundle.path / "manifest.json", bundle.path / "manifest.sig"
    signature.write_bytes(signature_line(path.read_bytes(), STRANGER if how == "stranger" else KEY))
    if how == "unsigned":
        signature.unlink()
    elif how == "altered":
        path.write_bytes(path.read_bytes() + b" ")
    elif how == "spelled otherwise":
        signature.write_bytes(signature.read_bytes().replace(b'": "', b'":"'))
    elif how == "withdrawn":
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        body = json.dumps({"schema": "rop.withdrawn/1", "issue": 1, "sha256": [digest]}).encode() + b"\n"
        (keys / "withdrawn.signed").write_bytes(body + signature_line(body, KEY))
    elif how == "older":
        Issues(lambda: state).note("bundle test", 4)
    elif how == "numbers changed":
        Issues(lambda: state).note("bundle test", 4)
        numbers = state / "site-issues.json"
        numbers.write_text(numbers.read_text().replace(": 4", ": 0"))
    elif how == "open to all":
        keys.chmod(0o777)
    told = tmp_path / "told"
    told.touch()
    if "told" in how:
        SiteAnchor(told).tell("bundle test", {"issue": 5})
        line = told.read_bytes()
        as_left = {
            "older, told": line + b'{"name": "bund',
            "older, told but for a brace": line[:-2],
            "told, its end changed": line[:-2] + b"~\n",
            "told, a digit changed": line.replace(b"5", b"0", 1),
        }
        told.write_bytes(as_left[how])
    cv2.imwrite(str(tmp_path / "a.png"), retina()[..., ::-1])
    named: list[str | Path] = ["--bundle", bundle.path, "--trusted-keys", keys, tmp_path / "a.png"]
    done = run(program, *named, environment={"ROP_SITE_STATE": str(state), "ROP_SITE_ANCHOR": str(told)})
    said = {
        "unsigned": "has no manifest.sig",
        "stranger": "not among the trusted ones",
        "altered": "does not fit the content",
        "spelled otherwise": "no signature line",
        "withdrawn": "was withdrawn",
        "older": "this cart has used issue 4",
        "numbers changed": "its sum is another",
        "older, told": "this cart has used issue 5",
        "older, told but for a brace": "this cart has used issue 5",
        "told, its end changed": "its sum is another",
        "told, a digit changed": "its sum is another",
        "open to all": "every user of this machine may write",
    }
    if how == "signed" and "knows no frame that has to be referred" not in done.stderr:
        assert done.returncode == 0, done.stderr
        trust = json.loads(done.stdout)["trust"]["bundle"]
        assert (trust["state"], trust["by"]) == ("signed", "maker")
    elif how != "signed":
        assert done.returncode == 2
        assert said[how] in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda png: png[:-30], "cut short"),
        (lambda png: png[:200] + bytes([png[200] ^ 8]) + png[201:], "PNG:"),
        (lambda png: b"", "neither PNG nor JPEG"),
        (lambda png: b"GIF89a" + png, "neither PNG nor JPEG"),
    ],
)
def test_a_damaged_picture_is_no_result(
    program: Path, kept: Bundle, tmp_path: Path, spoil: Callable[[bytes], bytes], expected: str
) -> None:
    png = cv2.imencode(".png", retina())[1].tobytes()
    (tmp_path / "a.png").write_bytes(spoil(png))
    done = run(program, "--bundle", kept.path, tmp_path / "a.png", tmp_path / "missing.png")
    readings = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2
    assert [reading["outcome"] for reading in readings] == ["NO_RESULT", "NO_RESULT"]
    assert expected in readings[0]["reason"]
    assert readings[0]["probabilities"] is None


def chunk(kind: bytes, *numbers: int, form: str = ">I") -> bytes:
    body = kind + b"".join(struct.pack(form, number) for number in numbers)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


WIDE = chunk(b"cHRM", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
COLOURS_STATED = {
    "nothing": b"",
    "sRGB": chunk(b"sRGB", 0, form=">B"),
    "gamma of sRGB": chunk(b"gAMA", 45455),
    "gamma nearly of sRGB": chunk(b"gAMA", 46000),
    "linear": chunk(b"gAMA", 100000),
    "gamma of old Macs": chunk(b"gAMA", 55556),
    "primaries of sRGB": chunk(b"gAMA", 45455) + chunk(b"cHRM", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    "primaries of Adobe RGB": chunk(b"gAMA", 45455) + WIDE,
    "primaries alone": WIDE,
    "number of sRGB": chunk(b"cICP", 1, 13, 0, 1, form=">B"),
    "number of Display P3": chunk(b"cICP", 12, 13, 0, 1, form=">B"),
    "number of BT.2020": chunk(b"cICP", 9, 1, 0, 1, form=">B"),
    "HDR, PQ": chunk(b"cICP", 1, 16, 0, 1, form=">B"),
    "HDR, HLG": chunk(b"cICP", 9, 18, 0, 1, form=">B"),
    "number of sRGB goes before a gamma": chunk(b"cICP", 1, 13, 0, 1, form=">B") + chunk(b"gAMA", 100000),
}


def test_a_png_of_other_colours_is_refused_where_python_converts_it(
    program: Path, kept: Bundle, tmp_path: Path
) -> None:
    """And read to the same pixels where Python takes it as it is."""
    png = cv2.imencode(".png", retina())[1].tobytes()
    for name, chunks in COLOURS_STATED.items():
        (tmp_path / f"{name}.png").write_bytes(png[:33] + chunks + png[33:])
    done = run(program, "--bundle", kept.path, *(tmp_path / f"{name}.png" for name in COLOURS_STATED))
    plain = Frame(np.ascontiguousarray(retina()[..., ::-1]), 0, "").sha256
    taken = set()
    for name, line in zip(COLOURS_STATED, done.stdout.splitlines(), strict=True):
        reading = json.loads(line)
        try:
            as_it_is = Frame(decode_picture(tmp_path / f"{name}.png").pixels, 0, "").sha256 == plain
        except FrameUnreadable:
            as_it_is = False
        assert (reading["frame"]["sha256"] == plain) is as_it_is, (name, reading["reason"])
        assert as_it_is or "other colours than sRGB" in reading["reason"], name
        taken |= {name} if as_it_is else set()
    assert {"nothing", "sRGB", "number of sRGB"} < taken < set(COLOURS_STATED)


LIMITS_OF_ITS_OWN = (
    "convert it",
    "export it",
    "save it as baseline",
    "extraneous bytes",
    "Too much",
    "Extra compressed",
)
"""What Python converts or forgives, in its words."""


def test_of_hostile_files_it_reads_what_python_reads_to_the_same_pixels(
    program: Path, kept: Bundle, tmp_path: Path
) -> None:
    files = hostile_files()
    paths = [tmp_path / f"{number}.bin" for number in range(len(files))]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    done = run(program, "--bundle", kept.path, *paths)
    read = 0
    for name, path, line in zip(files, paths, done.stdout.splitlines(), strict=True):
        reading = json.loads(line)
        its = reading["frame"]["sha256"] if reading["frame"]["width"] else None
        try:
            pythons = Frame(decode_picture(path).pixels, 0, "").sha256
        except FrameUnreadable:
            pythons = None
        if its is None and pythons is not None:
            assert any(words in reading["reason"] for words in LIMITS_OF_ITS_OWN), (name, reading["reason"])
        else:
            assert its == pythons, (name, reading["reason"])
        assert its is not None or reading["outcome"] == "NO_RESULT"
        read += its is not None
    assert read > 15


def test_jpeg_is_read_to_the_bit_and_damage_is_seen(program: Path, kept: Bundle, tmp_path: Path) -> None:
    import simplejpeg

    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(retina()), 90)
    (tmp_path / "a.jpg").write_bytes(jpeg)
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    progressive = cv2.imencode(".jpg", retina(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    (tmp_path / "scans.jpg").write_bytes(progressive)
    done = run(program, "--bundle", kept.path, *(tmp_path / name for name in ("a.jpg", "cut.jpg", "scans.jpg")))
    whole, cut, scans = (json.loads(line) for line in done.stdout.splitlines())
    assert whole["frame"]["sha256"] == Frame(simplejpeg.decode_jpeg(jpeg), 0, "").sha256
    assert (cut["outcome"], scans["outcome"]) == ("NO_RESULT", "NO_RESULT")
    assert "only baseline" in scans["reason"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--bundle: none named"),
        (["--bundle"], "needs a value"),
        (["--bundle", "/nowhere", "a.png"], "cannot be read"),
        (["--bundle", "BUNDLE"], "name pictures, or --vectors"),
        (["--bundle", "BUNDLE", "--site-profile", "p", "a.png"], "no such option"),
        (["--bundle", "BUNDLE", "--threads", "0", "a.png"], "expected a whole number"),
        (["--bundle", "BUNDLE", "--raw", "64", "a.png"], "expected WIDTHxHEIGHT"),
        (["--bundle", "BUNDLE", "--precision", "int4", "a.png"], "holds no saved graphs of int4"),
        (["--bundle", "BUNDLE", "--trusted-keys", "/nowhere", "a.png"], "name a folder of public keys"),
    ],
)
def test_a_wrong_call_says_why(program: Path, kept: Bundle, words: list[str], expected: str) -> None:
    done = run(program, *(str(kept.path) if word == "BUNDLE" else word for word in words))
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stdout == ""


def test_a_sites_profile_is_refused_not_passed_over(program: Path, kept: Bundle) -> None:
    done = run(program, "--bundle", kept.path, "--vectors", environment={"ROP_SITE_PROFILE": "profile.signed"})
    assert done.returncode == 2
    assert "obeys no site profile" in done.stderr


@pytest.mark.soak
def test_fuzzed_pictures_manifests_and_signatures_do_no_harm(kept: Bundle, familiar_text: str, tmp_path: Path) -> None:
    if shutil.which("clang++") is None:
        pytest.skip("no clang++ on this machine")
    compilers = ["-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++"]
    fuzzer = build(tmp_path / "fuzz", "-DFUZZ=ON", "-DCMAKE_CXX_FLAGS=-O1", *compilers, target="rop-fuzz")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    graph = json.loads(familiar_text)["segmentation_sha256"]
    seeds = {0: (kept.path / "vectors" / "two.png").read_bytes(), 1: (kept.path / "manifest.json").read_bytes()}
    seeds |= {2: signature_line(b"", KEY), 3: (kept.path / "vectors" / "refer-most.fp32.png").read_bytes()}
    seeds |= {4: bytes(range(256)), 5: familiar_text.replace(graph, "0" * 64).encode()}
    seeds |= {6: cv2.imencode(".jpg", retina())[1].tobytes()}
    for kind, content in seeds.items():
        (corpus / str(kind)).write_bytes(bytes([kind % 6, 200, 150]) + content)
    done = run(fuzzer, "-max_total_time=120", "-timeout=60", "-rss_limit_mb=2048", "-max_len=100000", "-seed=7", corpus)
    assert done.returncode == 0, done.stderr[-4000:]


def damaged_pictures(folder: Path) -> list[Path]:
    """Whole and damaged ones that decoders take: rows of one flat colour, frames, seams along rows of blocks."""
    import simplejpeg

    def flat(rows: slice, level: int) -> np.ndarray:
        pixels = retina(1, 320, 240)
        pixels[rows] = (level, max(level - 10, 0), max(level - 30, 0))
        return pixels

    shifted, brighter = retina(2, 640, 480), retina(3, 640, 480)
    shifted[240:] = np.roll(shifted[240:], 40, axis=1)
    brighter[160:] = np.clip(brighter[160:].astype(int) + 30, 0, 255)
    framed = flat(slice(0, 20), 120)
    framed[220:] = (120, 110, 90)
    pictures = {
        "whole": retina(1, 320, 240),
        "within": flat(slice(100, 104), 90),
        "bottom": flat(slice(200, 240), 120),
        "few": flat(slice(234, 240), 120),
        "dark": flat(slice(200, 240), 22),
        "white": flat(slice(200, 240), 250),
        "all": flat(slice(0, 240), 120),
        "framed": framed,
        "shifted": shifted,
        "brighter": brighter,
        "small": retina(4, 400, 47),
    }
    for name, pixels in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), pixels[..., ::-1])
        file = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 92)
        (folder / f"{name}.jpg").write_bytes(file)
        if name == "whole":  # one wrong bit: what comes after is another brightness, or lies elsewhere
            for bit, at in enumerate(range(len(file) // 3, len(file) - 20, max(len(file) // 24, 1))):
                spoiled = bytearray(file)
                spoiled[at] ^= 1 << bit % 8
                (folder / f"bit{bit}.jpg").write_bytes(spoiled)
    for levels in (5, 8):  # less than brightness is rounded to, and about as much
        stepped = retina(3, 640, 480)
        stepped[160:] = np.clip(stepped[160:].astype(int) + levels, 0, 255)
        (folder / f"step{levels}.jpg").write_bytes(simplejpeg.encode_jpeg(stepped, 10))
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))


def test_damage_that_no_decoder_tells_is_seen_as_in_python(program: Path, kept: Bundle, tmp_path: Path) -> None:
    from device.cameras.files.decode import decode
    from device.errors import CameraError

    files = damaged_pictures(tmp_path)
    done = run(program, "--bundle", kept.path, *files)
    seen = set()
    for path, line in zip(files, done.stdout.splitlines(), strict=True):
        reading, why = json.loads(line), ""
        try:
            decode(path)
        except CameraError as error:
            why = str(error)
        detail = why.partition("(")[2]
        assert reading["outcome"] == "NO_RESULT" or not why, path.name
        assert ("damaged" in reading["reason"]) is detail.startswith(("rows ", "a seam")), path.name
        if "damaged" in reading["reason"]:
            assert reading["reason"].endswith(f"({detail}"), path.name
            seen.add(detail.split()[0])
    assert seen == {"rows", "a"}

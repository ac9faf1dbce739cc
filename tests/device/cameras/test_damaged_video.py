"""Damaged videos: what is smeared does not count, until a clean key frame; what is only odd is read."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device import FrameUnreadable, Recording
from device.cameras.codecs import seams
from device.cameras.video import de265
from device.cameras.video.clean import CleanRun, units_damaged
from device.cameras.video.second import Twin
from device.cameras.video.units import is_slice, joined, split
from device.errors import FrameMisshapen, SourceNotFound
from tests.pictures import retina

av = pytest.importorskip("av", reason="PyAV is not installed (extra video)")

CASES = Path(__file__).parents[4] / "shared" / "cases" / "pictures"
FRAMES, GOP = 24, 8
CODECS = {
    "h264": ("libx264", {"preset": "veryfast", "tune": "zerolatency"}),
    "h265": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}),
}
OLD_ONES: dict[str, tuple[str, dict[str, str]]] = {"mpeg2": ("mpeg2video", {}), "mpeg4": ("mpeg4", {})}
QUIET_ONES = {
    "h265": CODECS["h265"],
    "h265 of another kind": ("libx265", {"preset": "veryfast", "x265-params": "log-level=none:wpp=0"}),
    "h265 in slices": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0:slices=4:ctu=16"}),
    "vp8": ("libvpx", {"deadline": "realtime", "b": "800000"}),
}
"""Of which FFmpeg's decoders say nothing when data was cut or altered."""
PIXEL_FORMATS = {"huffyuv": "yuv422p", "cinepak": "rgb24"}
SECOND = [
    pytest.param(
        True, id="libde265", marks=pytest.mark.skipif(not de265.is_there(), reason="libde265-0 is not installed")
    ),
    pytest.param(False, id="twin"),
]


def made(
    path: Path,
    codec: str,
    change: Callable[[int, Any], Any] = lambda number, packet: packet,
    pixel_format: str = "yuv420p",
) -> Path:
    """A video of a moving retina; `change` gives another packet, or None for a lost one."""
    name, options = (CODECS | QUIET_ONES | OLD_ONES)[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(name, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, pixel_format
        stream.codec_context.gop_size = GOP
        number = 0
        picture = retina(seed=5, width=360, height=280)
        for k in [*range(FRAMES), None]:
            frame = None
            if k is not None:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[k : k + 240, k : k + 320]), "rgb24")
            for packet in stream.encode(frame):
                changed = change(number, packet)
                number += 1
                if changed is not None:
                    container.mux(changed)
    return path


def again(video: Path, path: Path, change: Callable[[int, Any], Any]) -> Path:
    """The same video with other packets: an encoder need not write the same twice."""
    with av.open(str(video)) as source, av.open(str(path), "w") as container:
        of = source.streams.video[0]
        stream = container.add_stream_from_template(of)
        for number, packet in enumerate(packet for packet in source.demux(of) if packet.size):
            changed = change(number, packet)
            changed.stream = stream
            container.mux(changed)
    return path


def altered(packet: Any, data: bytes) -> Any:
    other = av.Packet(data)
    other.pts, other.dts, other.time_base, other.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    other.is_keyframe = packet.is_keyframe
    return other


def frames_of(path: Path) -> tuple[dict[int, np.ndarray], list[int], list[str]]:
    frames: dict[int, np.ndarray] = {}
    refused, words = [], []
    with Recording(path) as camera:
        while True:
            try:
                frame = camera.read()
            except FrameUnreadable as error:
                refused.append(error.sequence)
                words.append(str(error))
                continue
            if frame is None:
                return frames, refused, words
            frames[frame.sequence] = frame.pixels


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])  # units behind their lengths, and behind start codes
@pytest.mark.parametrize("codec", CODECS)
def test_whole_ones_are_read_to_the_last_frame(tmp_path: Path, codec: str, suffix: str) -> None:
    frames, refused, _ = frames_of(made(tmp_path / f"a{suffix}", codec))
    assert (sorted(frames), refused) == (list(range(FRAMES)), [])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("at", [3, 8, 13])
def test_a_hole_spoils_all_up_to_the_next_clean_key_frame(tmp_path: Path, codec: str, at: int) -> None:
    whole, _, _ = frames_of(made(tmp_path / "whole.mp4", codec))

    def hole(number: int, packet: Any) -> Any:
        data = bytearray(bytes(packet))
        begin = min(60, len(data) // 3)
        data[begin : begin + 200] = bytes(len(data[begin : begin + 200]))
        return altered(packet, bytes(data)) if number == at else packet

    frames, refused, words = frames_of(made(tmp_path / "a.mp4", codec, hole))
    next_key = (at // GOP + 1) * GOP
    assert set(range(at, next_key)).isdisjoint(frames)
    assert refused
    assert "damaged" in words[0]
    for number in range(at):
        np.testing.assert_array_equal(frames[number], whole[number])
    assert len(frames) == FRAMES - (next_key - at)


@pytest.mark.parametrize("codec", CODECS)
def test_after_a_lost_packet_no_smeared_frame_is_given(tmp_path: Path, codec: str) -> None:
    whole, _, _ = frames_of(made(tmp_path / "whole.mp4", codec))
    lost = made(tmp_path / "a.mp4", codec, lambda number, packet: None if number == 10 else packet)
    frames, refused, _ = frames_of(lost)
    assert refused
    clean = [pixels.tobytes() for pixels in whole.values()]
    assert all(pixels.tobytes() in clean for pixels in frames.values())
    assert len(frames) >= FRAMES - GOP


@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("codec", QUIET_ONES)
def test_where_ffmpeg_is_silent_a_second_decoder_tells_of_cut_packets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, second: bool
) -> None:
    monkeypatch.setattr(de265, "is_there", lambda: second)
    video = made(tmp_path / "whole.mkv", codec)
    whole, refused, words = frames_of(video)
    if "slices" in codec and not second:
        assert not whole
        assert "apt-get install libde265-0" in words[0]
        return
    assert (sorted(whole), refused) == (list(range(FRAMES)), [])
    for at, share in ((3, 0.3), (9, 0.6), (13, 0.9)):

        def cut(number: int, packet: Any, at: int = at, share: float = share) -> Any:
            return altered(packet, bytes(packet)[: int(packet.size * share)]) if number == at else packet

        frames, refused, words = frames_of(again(video, tmp_path / "a.mkv", cut))
        assert refused, (at, share)
        assert "damaged" in words[0]
        clean = {pixels.tobytes() for pixels in whole.values()}
        assert all(pixels.tobytes() in clean for pixels in frames.values()), (at, share)
        assert len(frames) >= at - 3  # what came before; open groups of pictures may hold no clean key frame after it


@pytest.mark.skipif(not de265.is_there(), reason="libde265-0 is not installed")
@pytest.mark.parametrize("bits", ["yuv420p", "gray", "yuv422p10le"])
def test_a_slice_that_is_missing_or_ends_early_is_told_by_libde265(tmp_path: Path, bits: str) -> None:
    """Neither decoder says a word of it: what lay in the picture's memory before is shown."""
    video = made(tmp_path / "whole.mkv", "h265 in slices", pixel_format=bits)
    whole, refused, _ = frames_of(video)
    assert (sorted(whole), refused) == (list(range(FRAMES)), [])
    with av.open(str(video)) as opened:
        extradata = bytes(opened.streams.video[0].codec_context.extradata)
    for slice_number in range(1, 4):

        def without(number: int, packet: Any, left_out: int = slice_number) -> Any:
            if number != 9:
                return packet
            units = split(bytes(packet), "hevc", extradata)
            assert units is not None
            slices = [unit for unit in units if is_slice(unit)]
            return altered(packet, joined([u for u in units if u is not slices[left_out]], "hevc", extradata))

        frames, refused, words = frames_of(again(video, tmp_path / "a.mkv", without))
        assert refused[0] == 9
        assert "a slice that ends too early" in words[0]
        assert all(np.array_equal(pixels, whole[number]) for number, pixels in frames.items() if number < 9)
        assert 9 not in frames


@pytest.mark.parametrize(("score", "left"), [(1.2, {4}), (1.6, {4, 5, 6, 7})])
def test_a_seam_that_compression_may_have_made_refuses_its_frame_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: float, left: set[int]
) -> None:
    video = made(tmp_path / "a.mp4", "h264")
    scores = iter([0.5] * 4 + [score] + [0.5] * FRAMES)
    monkeypatch.setattr(seams, "seam_score", lambda pixels, quantum: next(scores))
    frames, refused, words = frames_of(video)
    assert set(refused) == left
    assert ("nothing counts until" in words[0]) == (len(left) > 1)
    assert len(frames) == FRAMES - len(left)


def test_units_behind_start_codes_of_a_packet_that_has_none() -> None:
    assert split(b"", "hevc", b"") == []
    assert split(bytes(range(40, 90)), "hevc", b"") is None


def test_an_error_of_the_second_decoder_alone_is_damage() -> None:
    twin = Twin(av.CodecContext.create("vp8", "r"))
    assert twin.look_at(b"", []) is None, "the end of a stream"
    twin = Twin(av.CodecContext.create("vp8", "r"))
    assert twin.look_at(b"\0", []) == "data that ends too early"


@pytest.mark.skipif(not de265.is_there(), reason="libde265-0 is not installed")
def test_altered_bytes_of_h265_are_told_by_libde265(tmp_path: Path) -> None:
    rng = random.Random(7)
    told = 0
    for _ in range(10):
        at = rng.randrange(1, FRAMES - 4)

        def alter(number: int, packet: Any, at: int = at) -> Any:
            data = bytearray(bytes(packet))
            where = rng.randrange(20, len(data) - 9)
            data[where : where + 8] = bytes(rng.randrange(1, 255) for _ in range(8))
            return altered(packet, bytes(data)) if number == at else packet

        told += bool(frames_of(made(tmp_path / "a.mp4", "h265", alter))[1])
    assert told >= 8  # FFmpeg alone tells of one or two


@pytest.mark.parametrize(
    ("encoder", "name", "told"),
    [
        ("libvpx-vp9", "a.webm", "VP9"),
        ("msmpeg4", "a.avi", "MSMPEG4"),
        ("wmv2", "a.wmv", "WMV2"),
        ("huffyuv", "a.avi", "HUFFYUV"),
        ("utvideo", "a.avi", "UTVIDEO"),
        ("cinepak", "a.avi", "CINEPAK"),
    ],
)
def test_a_codec_of_which_nobody_can_tell_is_refused(tmp_path: Path, encoder: str, name: str, told: str) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"} if encoder == "libvpx-vp9" else {}
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(encoder, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, PIXEL_FORMATS.get(encoder, "yuv420p")
        for frame in (av.VideoFrame.from_ndarray(retina(width=64, height=64), "rgb24"), None):
            container.mux(stream.encode(frame))
    with pytest.raises(SourceNotFound, match=rf"{name}: a video of {told}.* as H\.264 or Motion JPEG"):
        Recording(tmp_path / name)


def with_a_hole(video: Path, path: Path, begin: int, end: int) -> Path:
    """The file with other bytes in this part of it."""
    data = bytearray(video.read_bytes())
    data[begin:end] = random.Random(2).randbytes(end - begin)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("codec", "name", "head_bytes"), [("mpeg2", "a.avi", 8), ("vp8", "a.webm", 2), ("mpeg4", "a.avi", 8)]
)
def test_pictures_that_a_hole_in_the_file_took_away_whole_are_missed(
    tmp_path: Path, codec: str, name: str, head_bytes: int
) -> None:
    """The container is read on from where it makes sense again; of these codecs no picture says its number."""
    video = made(tmp_path / name, codec)
    whole, _, _ = frames_of(video)
    with av.open(str(video)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    begin, end = packets[GOP + 2][0] - head_bytes, sum(packets[GOP + 3])
    frames, refused, words = frames_of(with_a_hole(video, tmp_path / f"holed-{name}", begin, end))
    given = {pixels.tobytes() for pixels in whole.values()}
    assert [number for number, pixels in frames.items() if pixels.tobytes() not in given] == []
    assert len(frames) >= FRAMES - GOP
    assert any("data that is missing" in word for word in words)
    assert refused


@pytest.mark.parametrize("codec", ["mpeg2", "mpeg4"])
def test_packets_that_a_transport_stream_lost_are_missed_by_their_numbers(tmp_path: Path, codec: str) -> None:
    video = made(tmp_path / "a.ts", codec)
    whole, _, _ = frames_of(video)
    with av.open(str(video)) as container:
        begins = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = video.read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(data[: begins[GOP + 2]] + data[begins[GOP + 3] :])
    frames, refused, words = frames_of(cut)
    given = {pixels.tobytes() for pixels in whole.values()}
    assert [number for number, pixels in frames.items() if pixels.tobytes() not in given] == []
    assert len(frames) >= FRAMES - GOP - 3  # MPEG-2's decoder gives each frame one later
    assert "packets lost on the way" in words[0]
    assert refused


def test_an_avi_with_other_chunks_between_its_pictures_is_whole(tmp_path: Path) -> None:
    video = made(tmp_path / "a.avi", "mpeg4")
    data = video.read_bytes()
    with av.open(str(video)) as container:
        at = [packet.pos for packet in container.demux(video=0) if packet.size][5] - 8
    junk = b"JUNK" + (31).to_bytes(4, "little") + b"j" * 31 + b"\0"
    movi = data.index(b"movi") - 8
    length = int.from_bytes(data[movi + 4 : movi + 8], "little") + len(junk)
    index = data.index(b"idx1")
    padded = bytearray(data[:at] + junk + data[at:index])  # without its index, which is of the places before
    padded[movi + 4 : movi + 8] = length.to_bytes(4, "little")
    padded[4:8] = (len(padded) - 8).to_bytes(4, "little")
    (tmp_path / "b.avi").write_bytes(padded)
    frames, refused, _ = frames_of(tmp_path / "b.avi")
    assert (len(frames), refused) == (FRAMES, [])


def test_wrong_bits_give_no_frame_that_looks_otherwise(tmp_path: Path) -> None:
    whole, _, _ = frames_of(made(tmp_path / "whole.mp4", "h264"))
    rng = random.Random(11)
    for _ in range(6):
        at = rng.randrange(FRAMES)

        def flip(number: int, packet: Any, at: int = at) -> Any:
            data = bytearray(bytes(packet))
            data[rng.randrange(min(12, len(data) - 1), len(data))] ^= 1 << rng.randrange(8)
            return altered(packet, bytes(data)) if number == at else packet

        frames, refused, _ = frames_of(made(tmp_path / "a.mp4", "h264", flip))
        if not refused:
            assert max(np.abs(frames[n].astype(int) - whole[n]).mean() for n in frames) < 3


def test_a_size_that_changes_is_told(tmp_path: Path) -> None:
    data = io.BytesIO()
    with av.open(data, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        for size in ((320, 240), (320, 240), (160, 120)):
            frame = av.VideoFrame.from_ndarray(retina(width=size[0], height=size[1]), "rgb24")
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, "yuvj420p"
            encoder.time_base = Fraction(1, 10)
            for packet in [*encoder.encode(frame), *encoder.encode(None)]:
                packet.stream = stream
                packet.pts = packet.dts = None
                container.mux(packet)
    (tmp_path / "a.avi").write_bytes(data.getvalue())
    with Recording(tmp_path / "a.avi") as camera:
        assert camera.read() is not None
        assert camera.read() is not None
        with pytest.raises(FrameMisshapen, match="got 160 x 120, expected 320 x 240"):
            camera.read()


def test_a_clean_run_begins_only_with_a_key_frame_after_the_damage() -> None:
    run = CleanRun()
    assert run.refuse(1, key=True) is None
    run.damage("a hole", 3)
    assert run.refuse(2, key=False) == "a hole"
    assert run.refuse(3, key=True) == "a hole", "the damaged packet itself"
    assert run.refuse(4, key=False) == "a hole"
    assert run.refuse(5, key=True, why="filled in") == "a hole"
    assert run.refuse(5, key=True) == "a hole"
    assert run.refuse(6, key=True) is None
    assert run.refuse(7, key=False) is None


@pytest.mark.parametrize(
    ("unit", "damaged"),
    [
        (b"\x65\x01\x02\x03", False),
        (b"\x65\0\0\3\1", False),
        (b"\x65" + bytes(9) + b"\1", True),
        (b"\x65\1\0\0", False),
    ],
)
def test_units_that_no_encoder_writes(unit: bytes, damaged: bool) -> None:
    avcc = b"\x01\x64\x00\x1f\xff\xe1"
    packet = len(unit).to_bytes(4, "big") + unit
    assert (units_damaged(packet, "h264", avcc) is not None) is damaged
    assert units_damaged(packet[:-1], "h264", avcc) is not None
    assert units_damaged(packet, "vp8", avcc) is None


@pytest.mark.parametrize("level", [0, 255])
def test_a_hole_in_vp8_is_damage_until_a_clean_key_frame(level: int, tmp_path: Path) -> None:
    """Its decoder takes zeros for plain blocks and ends where it should: neither it nor a second one says a word."""

    def hole(number: int, packet: Any) -> Any:
        data = bytearray(bytes(packet))
        at = len(data) // 3
        data[at : at + 512] = bytes([level]) * len(data[at : at + 512])
        return altered(packet, bytes(data)) if number == 0 else packet

    whole, none, _ = frames_of(made(tmp_path / "whole.webm", "vp8"))
    assert (len(whole), none) == (FRAMES, [])
    frames, refused, _ = frames_of(made(tmp_path / "holed.webm", "vp8", hole))
    assert len(refused) >= GOP
    assert len(frames) == FRAMES - len(refused)


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
def test_shared_cases() -> None:
    frames, refused, _ = frames_of(CASES / "badsector.mp4")
    assert (len(frames), len(refused)) == (0, 40)
    frames, refused, _ = frames_of(CASES / "trimmed.mp4")
    assert (len(frames), refused) == (28, [])

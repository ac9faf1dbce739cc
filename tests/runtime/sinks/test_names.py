from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sinks.names import FrameNames


@pytest.mark.parametrize(
    ("source", "sequence", "name"),
    [
        ("RetCam_01.jpg", 0, "RetCam_01"),
        ("two.dots.tiff", 0, "two.dots"),
        ("clip.mp4#00012", 12, "clip.mp4_00012"),
        ("sim:12", 12, "sim_12"),
        ("sim:seed=3:7", 7, "sim_seed=3_7"),
        (".hidden.png", 0, "_hidden"),
        ("a/b\\c\nd.png", 0, "a_b_c_d"),
        ("", 0, "_"),
    ],
)
def test_the_name_of_a_frame(source: str, sequence: int, name: str) -> None:
    assert FrameNames().frame_name(source, sequence) == name


def test_two_endings_of_one_stem_are_told_apart_by_the_order_of_reading() -> None:
    names = FrameNames()
    assert [names.frame_name(s, i) for i, s in enumerate(["a.jpg", "a.png", "A.tif", "a.jpg"])] == [
        "a", "a.png", "A.tif", "a.jpg",
    ]  # fmt: skip


def test_a_file_that_comes_again_gets_its_number() -> None:
    names = FrameNames()
    assert [names.frame_name("a.jpg", i) for i in range(4)] == ["a", "a.jpg", "a.jpg_000002", "a.jpg_000003"]


def test_asking_again_for_the_same_frame_gives_the_same_name() -> None:
    names = FrameNames()
    assert names.frame_name("a.jpg", 0) == names.frame_name("a.jpg", 0) == "a"


# Few letters, so that collisions are common; case, accents, separators and numbers are what collides.
tricky = st.text(st.sampled_from("aAéE1_.#:/ \x00\udc80"), max_size=8)
usual = st.builds("".join, st.tuples(st.sampled_from(["a", "A", "a_1", "a#1"]), st.sampled_from([".jpg", ".png", ""])))
anything = st.text(max_size=400)


@given(st.lists(st.one_of(tricky, usual, anything), max_size=40))
def test_no_two_frames_share_a_name_and_each_name_is_safe(sources: list[str]) -> None:
    names = FrameNames()
    given_names = [names.frame_name(source, sequence) for sequence, source in enumerate(sources)]
    same = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in given_names]
    assert len(set(same)) == len(sources)
    for name in given_names:
        assert 0 < len(f".{name}.jpg.part".encode()) < 256
        assert not set(name) & set('/\\:#*?"<>|\0\n')
        assert not name.startswith(".")


def test_a_stream_does_not_grow_the_memory() -> None:
    names = FrameNames()
    for i in range(1000):
        names.frame_name(f"sim:{i}", i)
        names.frame_name("camera:front", i)
    assert len(names._files) + len(names._numbered) < 10

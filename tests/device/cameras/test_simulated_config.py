"""The text form of the simulated camera: strict, and the settings come back from it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from device import SimulatedConfig, SourceNotFound

shares = st.floats(0, 1)
configs = st.builds(
    SimulatedConfig,
    device=st.sampled_from(["retcam", "neo"]),
    seed=st.integers(0, 2**63 - 1),
    size=st.none() | st.tuples(st.integers(32, 4096), st.integers(32, 4096)),
    fps=st.floats(0, 1000),
    frames=st.integers(0, 10**9),
    frames_per_eye=st.integers(1, 10**6),
    ridge=shares,
    faults=shares,
    tortuosity=st.floats(0, 4),
    vessel_width=st.floats(0.3, 3),
    motion=st.floats(0, 3),
)


@given(configs)
def test_text_and_settings_are_the_same_thing(config: SimulatedConfig) -> None:
    assert SimulatedConfig.parse(str(config)) == config


@given(st.text(max_size=40))
def test_chance_text_is_refused_in_one_line(rest: str) -> None:
    assume(rest)
    with pytest.raises(SourceNotFound, match="expected") as caught:
        SimulatedConfig.parse("sim:" + rest)
    assert len(str(caught.value).splitlines()) == 1


def test_the_documented_example() -> None:
    config = SimulatedConfig.parse("sim:device=neo,seed=3,size=1280x960,fps=30,ridge=0.5,faults=0.1")
    assert config == SimulatedConfig(device="neo", seed=3, size=(1280, 960), fps=30.0, ridge=0.5, faults=0.1)
    assert SimulatedConfig.parse("sim:") == SimulatedConfig()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sim:colour=red", "unknown setting 'colour=red'; expected device, seed, size, fps, frames"),
        ("sim:seed", "unknown setting 'seed'"),
        ("sim:,", "unknown setting ''"),
        ("sim:seed=1,seed=2", "seed is set twice"),
        ("sim:seed=-1", "seed got '-1'"),
        ("sim:seed=1.5", "seed got '1.5'"),
        ("sim:seed=٣", "seed got '٣'"),
        ("sim:size=640", "size got '640'"),
        ("sim:size=640x480x3", "size got '640x480x3'"),
        ("sim:size=20000x20000", "expected sides of 32 to 4096 pixels"),
        ("sim:fps=nan", "fps got 'nan'"),
        ("sim:faults=1.1", "faults got 1.1; expected a share from 0 to 1"),
        ("sim:device=pictor", "device got pictor; expected retcam or neo"),
        ("sim", "not a simulated camera"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(SourceNotFound) as caught:
        SimulatedConfig.parse(text)
    assert words in str(caught.value)


def test_a_wrong_setting_in_code_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="fps got -1; expected 0 to 1000"):
        SimulatedConfig(fps=-1)

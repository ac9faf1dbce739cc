"""How a server's engine is named on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.bundle import Bundle
from runtime.engines import load_engine
from runtime.engines.address import ServerAddress, parse_address
from runtime.engines.options import add_engine_options
from runtime.errors import EngineError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("triton://reader:8001", ServerAddress("triton", "reader", 8001)),
        ("triton://10.0.0.7:8001/eye-5", ServerAddress("triton", "10.0.0.7", 8001, "eye-5")),
        ("triton://[fd00::7]:8001", ServerAddress("triton", "fd00::7", 8001)),
        ("triton://reader:8001?tls=system", ServerAddress("triton", "reader", 8001, tls=True)),
    ],
)
def test_addresses(text: str, expected: ServerAddress) -> None:
    assert parse_address(text) == expected


def test_an_address_of_the_new_kind_of_internet_is_told_in_brackets() -> None:
    assert parse_address("triton://[fd00::7]:8001").target == "[fd00::7]:8001"


def test_files_of_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    found = parse_address(f"triton://reader:8001?ca={tmp_path / 'ca.pem'}")
    assert (found.tls, found.ca) == (True, tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("triton://", "expected triton://HOST:PORT"),
        ("triton://reader", "expected triton://HOST:PORT"),
        ("triton://reader:99999", "out of range"),
        ("triton://reader:8001/a/b", "expected triton://HOST:PORT"),
        ("triton://nurse:secret@reader:8001", "expected triton://HOST:PORT"),
        ("triton://reader:8001#x", "expected triton://HOST:PORT"),
        ("triton://reader:8001?tls=no", "not understood"),
        ("triton://reader:8001?verify=off", "verify is not understood"),
        ("triton://reader:8001?ca=", "not understood"),
        ("triton://reader:8001?ca=/nowhere/ca.pem", "/nowhere/ca.pem is no file"),
        ("triton://reader:8001?cert=/a", "cert and key go together"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(EngineError, match=words.replace("?", r"\?")) as refused:
        parse_address(text)
    assert "secret" not in str(refused.value)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_an_address_or_an_error_of_ours(text: str) -> None:
    try:
        found = parse_address(f"triton://{text}")
    except EngineError:
        return
    assert found.host
    assert found.port


@pytest.mark.parametrize(
    ("engine", "words"), [("openvino://h:1", "takes no address"), ("auto://h:1", "not known"), ("abacus://h:1", "not")]
)
def test_only_a_server_takes_an_address(bundle: Bundle, engine: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        load_engine(bundle, engine)


def test_options_take_addresses_and_refuse_what_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    assert parser.parse_args(["--engine", "triton://reader:8001"]).engine == "triton://reader:8001"
    for wrong in ("triton://reader", "abacus://reader:1"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--engine", wrong])
        assert wrong in capsys.readouterr().err

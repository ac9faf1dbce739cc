"""The makers' examples of docs/examples do what they say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import PIN, USER
from runtime.outcome import BANNERS, ONE_PICTURE, Outcome
from tests.runtime.cart.driving import PATIENCE_S
from tests.runtime.cart.quick import quick

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs/examples"


@pytest.mark.slow
def test_an_own_screen_in_python_takes_four_pictures_and_ends_the_exam(tmp_path: Path) -> None:
    words = [sys.executable, str(EXAMPLES / "own_screen.py"), str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("reading ") for line in lines) >= 4
    assert any(line.startswith("live: ") for line in lines)
    assert lines[-1].startswith((BANNERS[Outcome.NO_RESULT], BANNERS[Outcome.REFER]))


@pytest.mark.slow
def test_a_program_in_cpp_takes_a_picture_over_the_api(tmp_path: Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("not installed: a C++ compiler (Debian: g++)")
    program = tmp_path / "cart_client"
    words = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", str(program)]
    subprocess.run([*words, str(EXAMPLES / "cart_client.cpp")], check=True)

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *more], capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    with quick(tmp_path / "cart") as cart:
        port = cart.server.url.rsplit(":", 1)[1].strip("/")
        done = run(port, USER, PIN)
        assert (done.returncode, done.stdout.splitlines()) == (0, [ONE_PICTURE, "closed"]), done.stderr
        assert [one["outcome"] for one in cart.get("exams").json()["exams"]] != ["NO_REFERRAL_FINDINGS"]
        wrong = run(port, USER, "0000")
        assert (wrong.returncode, "name or PIN is wrong" in wrong.stderr) == (2, True)
    assert run(port, USER, PIN).returncode == 2

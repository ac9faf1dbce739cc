"""SECURITY.md's commands for a release, run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "SECURITY.md").read_text(encoding="utf-8")


def commands(containing: str) -> str:
    """The block of commands that holds these words, made for a test's folder."""
    (block,) = [found for found in re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE) if containing in found]
    lines = [line.strip() for line in block.splitlines() if "cd dist" not in line]
    return "\n".join(lines).replace("~/.ssh/release_key", "../release_key").replace("release@PROJECT", "release@test")


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
@pytest.mark.parametrize("changed", ["nothing", "the archive", "the list", "the key"])
def test_a_release_that_was_changed_is_found(tmp_path: Path, changed: str) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "a.tar.gz").write_bytes(b"archive")
    (dist / "cart.cdx.json").write_bytes(b"{}")
    for key in ("release_key", "other_key"):
        call = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)]
        subprocess.run(call, check=True, timeout=300)

    def run(script: str) -> int:
        return subprocess.run(["sh", "-ec", script], cwd=dist, capture_output=True, timeout=300).returncode

    assert run(commands("-Y sign")) == 0
    trusted = "other_key" if changed == "the key" else "release_key"
    (dist / "allowed_signers").write_text("release@test " + (tmp_path / f"{trusted}.pub").read_text())
    if changed == "the archive":
        (dist / "a.tar.gz").write_bytes(b"Archive")
    if changed == "the list":
        (dist / "a.tar.gz").write_bytes(b"Archive")
        assert run("sha256sum a.tar.gz cart.cdx.json > SHA256SUMS") == 0
    assert (run(commands("-Y verify")) == 0) is (changed == "nothing")

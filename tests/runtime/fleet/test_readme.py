"""The walk through the fleet's README, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.soak
def test_the_whole_way_with_the_demonstration(tmp_path: Path) -> None:
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "runtime" / "fleet" / "README.md").read_text(), re.DOTALL)
    (walk,) = [block for block in blocks if "openssl" in block]
    surroundings = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    walked = subprocess.run(
        ["bash", "-euc", walk], cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
    )
    assert walked.returncode == 0, walked.stderr
    assert "cart-7" in walked.stdout.splitlines()[-3]
    assert "1 cart(s), 0 to be looked at, 0 report(s) not believed" in walked.stdout
    assert "demonstration" in (tmp_path / "carts.html").read_text()

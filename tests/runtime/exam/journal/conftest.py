from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey


@pytest.fixture
def key() -> JournalKey:
    return JournalKey.new()


@pytest.fixture
def journal(tmp_path: Path, key: JournalKey) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal", key, create=True) as opened:
        yield opened

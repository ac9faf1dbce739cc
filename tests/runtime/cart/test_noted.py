"""Who switched a bundle and why: read on the cart's own screen, by nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cart.noted import SEALED, UNKEPT, Noted
from runtime.exam.journal.secrets import Secrets


def noted(secrets: Secrets | None) -> Noted:
    found = Noted()
    found.secrets = secrets
    return found


@given(st.text())
def test_what_was_typed_comes_back_and_is_not_seen_beside(words: str) -> None:
    secrets = Secrets.new()
    kept = noted(secrets).sealed(words)
    assert kept.startswith(SEALED)
    assert kept.isascii()
    assert len(words) < 4 or words not in kept[len(SEALED) :]
    assert noted(secrets).told(kept) == words
    assert noted(secrets.renewed()).told(kept) == words  # its key was renewed since


def test_without_the_journal_nothing_that_was_typed_is_kept() -> None:
    assert noted(None).sealed("by ida.miller on the cart, Zoe was read wrongly") == UNKEPT
    assert noted(None).told(noted(Secrets.new()).sealed("by ida")) == UNKEPT


def test_another_journal_tells_nothing() -> None:
    assert noted(Secrets.new()).told(noted(Secrets.new()).sealed("by ida")) == "on the cart, with another journal"


@pytest.mark.parametrize("why", ["went back by hand", "a package", f"{SEALED}", f"{SEALED}no base64!", f"{SEALED}AAAA"])
def test_what_it_did_not_seal_is_no_fault(why: str) -> None:
    told = noted(Secrets.new()).told(why)
    assert told == ("on the cart, with another journal" if why.startswith(SEALED) else why)

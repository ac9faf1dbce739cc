"""What all tests of the cart share."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
OF_PYNETDICOM = (
    "ignore:Exception in thread .*run_reactor:pytest.PytestUnhandledThreadExceptionWarning",
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning",
)
"""pynetdicom drops, and does not close, a socket whose other side went away, and says so in its own thread."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            for one in OF_PYNETDICOM:
                item.add_marker(pytest.mark.filterwarnings(one))


@pytest.fixture(autouse=True, scope="module")
def quick_pins(request: pytest.FixtureRequest) -> Iterator[None]:
    """A tenth of a second of scrypt for every sign-in is for those who guess.

    `test_users.py` has it whole, and so have carts in a process of their own.
    """
    with pytest.MonkeyPatch.context() as patched:
        if request.path.name not in ("test_users.py", "test_real_parts.py") and "runtime.cart.users" in sys.modules:
            patched.setitem(sys.modules["runtime.cart.users"]._SCRYPT, "n", 16)
        yield


@pytest.fixture(autouse=True, scope="module")
def nobody_hurries() -> Iterator[None]:
    """Where the cart's own parts are installed; see `unhurried`."""
    if "tests.runtime.cart.driving" not in sys.modules:
        yield
        return
    with sys.modules["tests.runtime.cart.driving"].unhurried():
        yield


@pytest.fixture(autouse=True, scope="module")
def sockets_of_pynetdicom_end_here() -> Iterator[None]:
    """Else they are found unclosed in some later test, which has nothing to do with them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

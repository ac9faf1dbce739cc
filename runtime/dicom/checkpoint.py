"""Who may take what a peer says: the caller that waits for its answer, or the association's own thread."""

from __future__ import annotations

import threading

from pynetdicom.association import Association


class Checkpoint:
    """Where an association's thread rests while somebody else talks with the peer.

    pynetdicom 3.0.4 uses a plain event, which lets a thread go that was woken and found it shut again: asked twice in
    a row on a busy machine, that thread takes one of the answers to the second question, and drops it. An archive
    seemed to have lost an object then, and a worklist an infant. Here nobody passes while it is shut, and who passes
    no longer counts as resting in the same moment.
    """

    def __init__(self, association: Association) -> None:
        self._association = association
        self._changed = threading.Condition()
        self._open = True

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._open

    def set(self) -> None:
        """Open it."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Shut it. The association's `_is_paused` tells from now on whether its thread rests."""
        with self._changed:
            self._open = False

    def wait(self) -> bool:
        """Rest until it is open; for the association's thread alone."""
        with self._changed:
            self._changed.wait_for(lambda: self._open)
            self._association._is_paused = False
        return True

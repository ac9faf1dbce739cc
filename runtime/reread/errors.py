"""What can go wrong with re-reading.

ScreeningError
`-- RereadError    the run cannot begin or go on: no source, another run's work, readers that keep ending, a cluster
                   that does not fit
"""

from __future__ import annotations

from runtime.errors import ScreeningError


class RereadError(ScreeningError):
    """The run cannot begin or go on; what was read so far is kept."""

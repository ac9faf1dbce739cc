"""What can go wrong between a site and its carts.

ScreeningError
`-- FleetError    a release, a report, a key or a place to fetch from that cannot be used
"""

from __future__ import annotations

from runtime.errors import ScreeningError


class FleetError(ScreeningError):
    """A release, a report, a key or a place to fetch from cannot be used."""

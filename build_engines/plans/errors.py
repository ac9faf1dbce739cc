"""What can go wrong while plans are built.

BuildError
|-- PlanRefused     NVIDIA's parser or builder says no to a graph
`-- CannotBuild     no library, driver or GPU to build with, or a call that asks for what cannot be had
"""

from __future__ import annotations

from build_engines.errors import BuildError


class PlanRefused(BuildError):
    """NVIDIA's parser or builder refused a graph; the text holds its own first line of reason."""


class CannotBuild(BuildError):
    """There is no library, driver or GPU to build with, or the call asks for what cannot be had."""

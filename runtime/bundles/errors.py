"""What can go wrong with bundles in slots.

ScreeningError
|-- BundleError
|   `-- PackageRefused    an archive or folder that is not unpacked: links, paths that lead out, too much of anything
|-- SlotsError            slots that cannot be used: not writable, no space, in use, a name that is not there
`-- NotActivated          a bundle was tried and is not to be used: its self-test failed, too many outcomes changed
"""

from __future__ import annotations

from runtime.errors import BundleError, ScreeningError


class PackageRefused(BundleError):
    """The archive or folder is not one to unpack."""


class SlotsError(ScreeningError):
    """The slots cannot be used, or hold no such bundle."""


class NotActivated(ScreeningError):
    """The bundle was tried here and stays inactive; the text says why."""

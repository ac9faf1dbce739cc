"""What can go wrong with trust.

ScreeningError
|-- BundleError
|   `-- SignatureRefused    a bundle or plan without the signature that the site asks for, or with a wrong one
`-- SiteError               keys or a site profile that cannot be used: missing, altered, expired, foreign
"""

from __future__ import annotations

from runtime.errors import BundleError, ScreeningError


class SignatureRefused(BundleError):
    """A bundle or plan lacks the signature that the site asks for, or bears a wrong one."""


class SiteError(ScreeningError):
    """Trusted keys or a site profile cannot be used."""

"""What each role may do at the cart: the nurse screens, the ophthalmologist also documents, the technician serves."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from runtime.cart.errors import NotYours
from runtime.cart.users import Role, User


class Right(str, Enum):
    """Something that not everybody may do."""

    LOOK = "look"
    """See patients' data: worklist, exams, pictures, reports."""
    SCREEN = "screen"
    """Open and change exams, take pictures, also by the foot switch."""
    DOCUMENT = "document"
    """Write down what a clinician found."""
    SERVICE = "service"
    """Ask the parts how they are, see the live picture, take the support archive; nothing of a patient."""
    BUNDLES = "bundles"
    """Install a bundle, activate it, go back to the one before."""


RIGHTS: Mapping[Role, frozenset[Right]] = MappingProxyType(
    {
        "operator": frozenset({Right.LOOK, Right.SCREEN, Right.SERVICE}),
        "clinician": frozenset({Right.LOOK, Right.SCREEN, Right.DOCUMENT, Right.SERVICE}),
        "technician": frozenset({Right.SERVICE, Right.BUNDLES}),
    }
)
_WHO = {
    Right.LOOK: "a nurse or an ophthalmologist",
    Right.SCREEN: "a nurse or an ophthalmologist",
    Right.DOCUMENT: "an ophthalmologist",
    Right.SERVICE: "whoever has a role",
    Right.BUNDLES: "a technician",
}


def may(user: User, right: Right) -> bool:
    """Whether that user may do it."""
    return right in RIGHTS[user.role]


def check_right(user: User, right: Right) -> None:
    """Raise `NotYours` where that user may not."""
    if not may(user, right):
        raise NotYours(
            f"this is for {_WHO[right]}; {user.shown} is signed in as {user.role}; have one of these sign in"
        )

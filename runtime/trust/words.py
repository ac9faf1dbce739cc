"""What a person is told of trust, in one line."""

from __future__ import annotations

from runtime.reading import TrustFacts
from runtime.trust.guard import FAILED


def trust_line(trust: TrustFacts) -> str:
    """Who stands for the model and what is amiss; "" for a cart without a site whose self-test did not fail."""
    parts = []
    if trust.bundle.state == "off":
        parts.append("GUARD OFF: nobody stands for the model, and it was not tested")
    elif trust.bundle.state != "unchecked":
        who = f"signed by {trust.bundle.by}" if trust.bundle.state == "signed" else "UNSIGNED, as the site allows"
        parts.append(f"bundle {who}")
    if trust.site is not None:
        parts.append(f"profile of {trust.site.name}, signed by {trust.site.by}")
    if trust.self_test.state == "failed":
        parts.append(f"{FAILED} ({trust.self_test.reason}): there will be no result")
    if trust.drift.state == "alarm":
        parts.append(f"DRIFT: {'; '.join(trust.drift.reasons)}")
    return ", ".join(parts)

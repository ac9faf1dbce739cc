"""Where what a clinician documented and what the software found of the same eye do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import ExamRecord
from runtime.outcome import Outcome
from runtime.views import EYE_WORDS

_PLAIN = {Outcome.NO_REFERRAL_FINDINGS: "no referral findings", Outcome.REFER: "REFER"}


def disagreements(record: ExamRecord) -> tuple[str, ...]:
    """A sentence for each, in the order of the documents. It decides nothing; it must be read beside the outcome."""
    return tuple(_found(record))


def _found(record: ExamRecord) -> Iterator[str]:
    for content in record.documented:
        findings = EyeFindings.from_dict(content)
        outcome = record.result.eyes[findings.eye].outcome
        against = findings.positive and outcome is Outcome.NO_REFERRAL_FINDINGS
        if against or (findings.negative and outcome is Outcome.REFER):
            yield (
                f"Disagreement, {EYE_WORDS[findings.eye]}: {content['who']} documented {findings.words()}; "
                f"the software says {_PLAIN[outcome]}"
            )

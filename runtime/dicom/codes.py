"""Coded concepts of the objects: standard codes where there is one, the project's own scheme where there is none."""

from __future__ import annotations

import hashlib

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code

from runtime.dicom.text import short
from runtime.outcome import BANNERS, Outcome

OWN_SCHEME = "99ROPSCREEN"
"""`99` marks a private coding scheme (PS3.16)."""
CODE_LENGTH = 16
OWN_SCHEME_NAME = "Retinopathy of prematurity screening runtime"

RETINA = Code("5665001", "SCT", "Retina")
RIGHT = Code("24028007", "SCT", "Right")
LEFT = Code("7771000", "SCT", "Left")
FUNDUS_CAMERA = Code("409898007", "SCT", "Fundus Camera")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
GESTATIONAL_AGE = Code("18185-9", "LN", "Gestational Age")
BIRTH_WEIGHT = Code("8339-4", "LN", "Birth weight")

UNIT_ONE = Code("1", "UCUM", "no units")
UNIT_DAY = Code("d", "UCUM", "day")
UNIT_GRAM = Code("g", "UCUM", "gram")


def own(value: str, meaning: str) -> Code:
    """A code of the project's own scheme. Values hold 16 characters, meanings 64; a longer value ends in a digest."""
    if len(value) > CODE_LENGTH:
        value = f"{value[: CODE_LENGTH - 5]}_{hashlib.sha256(value.encode()).hexdigest()[:4]}"
    return Code(value, OWN_SCHEME, short(meaning, 64))


SCREENING = own("ROP_SCREENING", "Retinopathy of prematurity screening")
SCREENING_OUTCOME = own("OUTCOME", "Screening outcome")
INFANT_OUTCOME = own("OUTCOME_INFANT", "Screening outcome of the infant")
POSTMENSTRUAL_AGE = own("PMA", "Postmenstrual age at the exam")
GRADABLE = own("GRADABLE", "Image gradable")
YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")
VESSEL_FRACTION = own("VESSEL_FRACTION", "Share of the field of view that is vessel")
REFER_THRESHOLD = own("THRESHOLD", "Refer threshold")
STATEMENT = own("STATEMENT", "Statement")
NOTICE = own("NOTICE", "Notice")

CLINICIAN_FINDINGS = own("CLINICIAN", "Findings documented by clinicians")
CLINICIAN_FINDING = own("CLINICIAN_EYE", "Findings of one clinician in one eye")
PERSON_OBSERVER = Code("121008", "DCM", "Person Observer Name")
OBSERVED_AT = Code("121135", "DCM", "Observation DateTime")
LATERALITY = Code("272741003", "SCT", "Laterality")
NOTE = own("NOTE", "Note")
CHANGES = own("CHANGES", "Changes with their reasons")
CHANGE = own("CHANGE", "Change")
LIGHT = own("LIGHT", "Light given to an eye, and what of its limits that used")
DISAGREEMENT = own("DISAGREEMENT", "Finding of a clinician that does not go with the outcome")
TRAIL = own("TRAIL", "Number and SHA-256 of the exam's newest event in the cart's journal")

_OUTCOME_VALUES = {
    Outcome.REFER: "REFER",
    Outcome.NO_REFERRAL_FINDINGS: "NO_REFERRAL",
    Outcome.RETAKE: "RETAKE",
    Outcome.NO_RESULT: "NO_RESULT",
}


def outcome_code(outcome: Outcome) -> Code:
    """The code of an outcome; its meaning is the start of the banner, which the controlled list holds."""
    return own(_OUTCOME_VALUES[outcome], BANNERS[outcome].split(":")[0])


def icrop3(name: str) -> Code:
    """The concept of a finding in the words of ICROP3, as a clinician chose them: `zone`, `plus`, ..."""
    return own(f"ICROP3_{name.upper()}", f"ICROP3 {name.replace('_', '-')}, as documented")


def eye_outcome(eye: str) -> Code:
    """The concept `screening outcome of this eye`."""
    return own(f"OUTCOME_{eye}", f"Screening outcome, {eye}")


def item(code: Code) -> Dataset:
    """A code as an item of a code sequence."""
    dataset = Dataset()
    dataset.CodeValue = code.value
    dataset.CodingSchemeDesignator = code.scheme_designator
    dataset.CodeMeaning = code.meaning
    return dataset


def items(*codes: Code) -> Sequence:
    """A code sequence."""
    return Sequence([item(code) for code in codes])


def own_scheme_identification() -> Sequence:
    """Coding Scheme Identification Sequence: says what the private designator stands for."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = OWN_SCHEME
    scheme.CodingSchemeName = OWN_SCHEME_NAME
    return Sequence([scheme])

"""Comprehensive 3D SR (TID 1500): outcome, probabilities, quality, and what read the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import highdicom as hd
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from runtime.dicom import codes, text, uids
from runtime.dicom.modules import header, put_series
from runtime.dicom.records import DicomExam, Shot
from runtime.exam.result import Conclusion
from runtime.views import Eye, place

SERIES_NUMBER = 3
WHOM = {Eye.OD: "Right eye", Eye.OS: "Left eye"}
SIGNIFICANT_DIGITS = 9
"""A decimal string (DS) holds 16 characters."""


def report_uid(exam: DicomExam) -> str:
    """Of the report; another one where an older software wrote other bytes of the same exam."""
    return uids.report(exam, *(["times without +0000"] if any(_in_utc(f.at, exam) for f in exam.documented) else []))


def report(exam: DicomExam, photographs: Sequence[Dataset]) -> Dataset:
    """The exam's result as a structured report that refers to the photographs, in the order of `exam.shots`.

    The photographs may come without their pixels; without any photograph there can be no report of this kind. It is
    complete, and verified by nobody.
    """
    dataset = header(exam, Comprehensive3DSRStorage, report_uid(exam), exam.closed_at)
    put_series(dataset, exam, "report", "SR", SERIES_NUMBER, "Screening result")
    dataset.ReferencedPerformedProcedureStepSequence = DicomSequence()
    dataset.InstanceNumber = 1
    dataset.ContentDate, dataset.ContentTime = text.da(exam.closed_at), text.tm(exam.closed_at)
    dataset.CompletionFlag, dataset.PreliminaryFlag, dataset.VerificationFlag = "COMPLETE", "FINAL", "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = codes.items(codes.SCREENING)
    dataset.CodingSchemeIdentificationSequence = codes.own_scheme_identification()
    dataset.CurrentRequestedProcedureEvidenceSequence = _evidence(photographs)
    if exam.order.requested_procedure_id:
        dataset.ReferencedRequestSequence = _request(dataset, exam)
    # highdicom's own document class checks the whole tree again and copies it, which takes longer than all the rest.
    for element in _content(exam, photographs)[0]:
        if element.keyword != "RelationshipType":
            dataset[element.tag] = element
    return dataset


def _evidence(photographs: Sequence[Dataset]) -> DicomSequence:
    """Every photograph, by study and series; an exam has one of each."""
    images = []
    for photograph in photographs:
        image = Dataset()
        image.ReferencedSOPClassUID = photograph.SOPClassUID
        image.ReferencedSOPInstanceUID = photograph.SOPInstanceUID
        images.append(image)
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = photographs[0].SeriesInstanceUID
    series.ReferencedSOPSequence = DicomSequence(images)
    study.StudyInstanceUID = photographs[0].StudyInstanceUID
    study.ReferencedSeriesSequence = DicomSequence([series])
    return DicomSequence([study])


def _request(dataset: Dataset, exam: DicomExam) -> DicomSequence:
    """The order that the report answers."""
    request = Dataset()
    request.StudyInstanceUID = dataset.StudyInstanceUID
    request.ReferencedStudySequence = DicomSequence()
    request.AccessionNumber = dataset.AccessionNumber
    request.PlacerOrderNumberImagingServiceRequest = ""
    request.FillerOrderNumberImagingServiceRequest = ""
    request.RequestedProcedureID = text.exact(exam.order.requested_procedure_id, 16, "the requested procedure")
    request.RequestedProcedureDescription = dataset.StudyDescription
    request.RequestedProcedureCodeSequence = DicomSequence()
    return DicomSequence([request])


def _content(exam: DicomExam, photographs: Sequence[Dataset]) -> sr.MeasurementReport:
    groups = [_infant_group(exam)] if _infant_measurements(exam) else []
    groups += [_group(exam, shot, image) for shot, image in zip(exam.shots, photographs, strict=True)]
    content = sr.MeasurementReport(
        observation_context=_observers(exam),
        procedure_reported=codes.SCREENING,
        imaging_measurements=groups,
        title=codes.REPORT_TITLE,
        referenced_images=photographs,
    )
    content[0].ContentSequence.append(_statements(exam))
    if exam.documented:
        content[0].ContentSequence.append(_documented(exam))
    if exam.changes:
        content[0].ContentSequence.append(_changed(exam))
    if exam.exposures:
        content[0].ContentSequence.append(_light(exam))
    return content


def _observers(exam: DicomExam) -> sr.ObservationContext:
    made = exam.equipment
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=hd.UID(uids.derived("device", made.manufacturer, made.model, made.serial, made.station)),
        name=text.short(made.station, 64) or None,
        manufacturer_name=text.short(made.manufacturer, 64) or None,
        model_name=text.short(made.model, 64) or None,
        serial_number=text.short(made.serial, 64) or None,
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=sr.CodedConcept("121007", "DCM", "Device"), observer_identifying_attributes=device
        )
    )


def _algorithm(exam: DicomExam, shot: Shot) -> sr.AlgorithmIdentification:
    bundle, engine = shot.reading.bundle, shot.reading.engine
    parameters = [
        f"bundle SHA-256 {bundle.sha256}",
        f"engine {engine.backend} {engine.precision} {engine.device}",
        *([f"frame SHA-256 {shot.sha256}"] if shot.sha256 else []),
        *(f"{name} {value}" for name, value in exam.facts.items()),
    ]
    return sr.AlgorithmIdentification(
        name=text.plain(bundle.name),
        version=text.plain(bundle.version),
        parameters=[text.plain(parameter) for parameter in parameters],
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )


def _group(exam: DicomExam, shot: Shot, image: Dataset) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501 for one frame."""
    side = codes.RIGHT if shot.eye is Eye.OD else codes.LEFT
    reading = shot.reading
    evaluations = [sr.QualitativeEvaluation(codes.SCREENING_OUTCOME, codes.outcome_code(reading.outcome))]
    if reading.quality is not None:
        gradable = codes.YES if reading.quality.gradable else codes.NO
        evaluations.append(sr.QualitativeEvaluation(codes.GRADABLE, gradable))
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=hd.UID(uids.shot(exam, shot, "group")), identifier=f"{shot.number} {place(shot.eye, shot.view)}"
        ),
        algorithm_id=_algorithm(exam, shot),
        finding_sites=[sr.FindingSite(anatomic_location=codes.RETINA, laterality=side)],
        measurements=list(_measurements(exam, shot)) or None,
        qualitative_evaluations=evaluations,
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(image)],
    )


def _measurements(exam: DicomExam, shot: Shot) -> Iterator[sr.Measurement]:
    """Probability of each class, share of vessels, the gate's measures, the threshold; all without a unit."""
    reading = shot.reading
    for name, value in (reading.probabilities or {}).items():
        yield _number(codes.own(f"P_{name}", f"Probability of class {name}"), value)
    if exam.refer_threshold is not None:
        yield _number(codes.REFER_THRESHOLD, exam.refer_threshold)
    if reading.vessel_fraction is not None:
        yield _number(codes.VESSEL_FRACTION, reading.vessel_fraction)
    for name, value in (reading.quality.measures if reading.quality else {}).items():
        yield _number(codes.own(f"Q_{name}", f"Image quality measure: {name}"), value)


def _number(name: Code, value: float, unit: Code = codes.UNIT_ONE) -> sr.Measurement:
    return sr.Measurement(name=name, value=float(f"{value:.{SIGNIFICANT_DIGITS}g}"), unit=unit)


def _infant_measurements(exam: DicomExam) -> list[sr.Measurement]:
    infant = exam.infant
    measured = []
    if (born_at := infant.gestational_age_days) is not None:
        measured.append(_number(codes.GESTATIONAL_AGE, born_at, codes.UNIT_DAY))
    if infant.postmenstrual_age_days is not None:
        measured.append(_number(codes.POSTMENSTRUAL_AGE, infant.postmenstrual_age_days, codes.UNIT_DAY))
    if infant.birth_weight_g is not None:
        measured.append(_number(codes.BIRTH_WEIGHT, infant.birth_weight_g, codes.UNIT_GRAM))
    return measured


def _infant_group(exam: DicomExam) -> sr.MeasurementsAndQualitativeEvaluations:
    """TID 1501 for what decides who is screened: age at birth, age now, weight at birth."""
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=hd.UID(uids.derived("infant", exam.exam_id)), identifier="Infant"
        ),
        measurements=_infant_measurements(exam),
    )


def _statements(exam: DicomExam) -> sr.ContainerContentItem:
    """What may be said of the eyes and the infant, in the words of the controlled list, with the notices."""
    container = sr.ContainerContentItem(codes.QUALITATIVE_EVALUATIONS, relationship_type="CONTAINS")
    said: list[sr.ContentItem] = []
    for eye, verdict in sorted(exam.eyes.items()):
        said += [_outcome(codes.eye_outcome(eye.value), verdict), _text(codes.STATEMENT, _says(verdict, WHOM[eye]))]
    said += [_outcome(codes.INFANT_OUTCOME, exam.verdict), _text(codes.STATEMENT, _says(exam.verdict, "Infant"))]
    said += [_text(codes.DISAGREEMENT, sentence) for sentence in exam.disagreements]
    said += [_text(codes.STATEMENT, sentence) for sentence in exam.warnings]
    said += [_text(codes.TRAIL, exam.trail)] if exam.trail else []
    said += [_text(codes.NOTICE, notice) for notice in exam.notices]
    container.ContentSequence = sr.ContentSequence(said)
    return container


def _documented(exam: DicomExam) -> sr.ContainerContentItem:
    """What clinicians found, as theirs: coded where it has a code here, and whole in words; nothing of it is inferred.

    Each has its observer and its time, for the report's own observer is the cart.
    """
    container = sr.ContainerContentItem(codes.CLINICIAN_FINDINGS, relationship_type="CONTAINS")
    groups: list[sr.ContentItem] = []
    for found in exam.documented:
        group = sr.ContainerContentItem(codes.CLINICIAN_FINDING, relationship_type="CONTAINS")
        said: list[sr.ContentItem] = [
            sr.PnameContentItem(codes.PERSON_OBSERVER, text.person_name(found.who) or "^", "HAS OBS CONTEXT"),
            sr.DateTimeContentItem(codes.OBSERVED_AT, _moment(found.at, exam), "HAS OBS CONTEXT"),
            sr.CodeContentItem(
                codes.LATERALITY, codes.RIGHT if found.eye is Eye.OD else codes.LEFT, relationship_type="CONTAINS"
            ),
            *(_text(codes.icrop3(name), word) for name, word in found.facts),
        ]
        said += [_text(codes.NOTE, found.note)] if found.note else []
        said.append(_text(codes.STATEMENT, f"{place(found.eye)}: {found.words}"))
        group.ContentSequence = sr.ContentSequence(said)
        groups.append(group)
    container.ContentSequence = sr.ContentSequence(groups)
    return container


def _in_utc(at: datetime, exam: DicomExam) -> bool:
    """Whether a moment's offset is none, and the report's own offset says so for what has none."""
    return not at.utcoffset() and not exam.closed_at.utcoffset()


def _moment(at: datetime, exam: DicomExam) -> str:
    """DT; without the offset +0000, which dcmtk 3.6.7 takes for none that DICOM allows: it reads no such report."""
    said = text.dt(at)
    return said.removesuffix("+0000") if _in_utc(at, exam) else said


def _changed(exam: DicomExam) -> sr.ContainerContentItem:
    """What people changed, with their reasons."""
    container = sr.ContainerContentItem(codes.CHANGES, relationship_type="CONTAINS")
    container.ContentSequence = sr.ContentSequence(
        [_text(codes.CHANGE, f"{c.at:%Y-%m-%d %H:%M %z}, {c.who}: {c.what}; {c.reason}") for c in exam.changes]
    )
    return container


def _light(exam: DicomExam) -> sr.ContainerContentItem:
    """Light that was given, a line an eye."""
    container = sr.ContainerContentItem(codes.LIGHT, relationship_type="CONTAINS")
    container.ContentSequence = sr.ContentSequence([_text(codes.LIGHT, line) for line in exam.exposures])
    return container


def _says(verdict: Conclusion, whom: str) -> str:
    said = verdict.banner
    return f"{whom}: {said}" if not verdict.reason or verdict.reason in said else f"{whom}: {said} ({verdict.reason})"


def _outcome(name: Code, verdict: Conclusion) -> sr.ContentItem:
    return sr.CodeContentItem(name, codes.outcome_code(verdict.outcome), relationship_type="CONTAINS")


def _text(name: Code, value: str) -> sr.ContentItem:
    return sr.TextContentItem(name, text.plain(value), relationship_type="CONTAINS")

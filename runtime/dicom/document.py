"""Encapsulated PDF: the report's page as a DICOM object (PS3.3 A.45.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage

from runtime.dicom import codes, text, uids
from runtime.dicom.modules import header, put_series
from runtime.dicom.page import made_with, page
from runtime.dicom.photograph import PHOTOGRAPH
from runtime.dicom.records import DicomExam

SERIES_NUMBER = 4
DOCUMENT = EncapsulatedPDFStorage


def document_uid(exam: DicomExam) -> str:
    """Another one as soon as the exam, the fonts or the library make another page."""
    return uids.report(exam, "document", made_with())


def document(exam: DicomExam) -> Dataset:
    """The page, for archives and viewers that show no structured report."""
    dataset = header(exam, DOCUMENT, document_uid(exam), exam.closed_at)
    put_series(dataset, exam, "document", "DOC", SERIES_NUMBER, "Screening result, one page")
    dataset.InstanceNumber = 1
    dataset.ConversionType = "WSD"
    dataset.ContentDate, dataset.ContentTime = text.da(exam.closed_at), text.tm(exam.closed_at)
    dataset.AcquisitionDateTime = text.dt(exam.opened_at)
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = codes.SCREENING.meaning
    dataset.ConceptNameCodeSequence = codes.items(codes.SCREENING)
    if exam.shots:
        dataset.SourceInstanceSequence = Sequence([_source(uids.shot(exam, s, "photograph")) for s in exam.shots])
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made = page(exam)
    dataset.EncapsulatedDocument = made + b"\0" * (len(made) % 2)
    dataset.EncapsulatedDocumentLength = len(made)
    return dataset


def _source(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = PHOTOGRAPH, uid
    return item

"""The modules that all objects of an exam share: patient, study, series, equipment, the common part of an SOP."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from runtime.arrays import UInt8Array
from runtime.dicom import codes, text, uids
from runtime.dicom.errors import RecordUnusable
from runtime.dicom.records import DicomExam

UNKNOWN_MAKER = "unknown"


def header(exam: DicomExam, sop_class: str, sop_uid: str, moment: datetime) -> Dataset:
    """Patient, study, equipment and SOP common of one object made at `moment`."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = UID(sop_class)
    dataset.SOPInstanceUID = UID(sop_uid)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = text.da(moment), text.tm(moment)
    dataset.TimezoneOffsetFromUTC = text.offset(moment)
    _patient(dataset, exam)
    _study(dataset, exam)
    _equipment(dataset, exam)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = UID(uids.IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = uids.IMPLEMENTATION_VERSION
    return dataset


def _patient(dataset: Dataset, exam: DicomExam) -> None:
    infant = exam.infant
    dataset.PatientName = text.person_name(infant.name)
    if not text.name_is_whole(infant.name):
        dataset.PatientComments = f"Full name: {text.plain(infant.name)}"
    dataset.PatientID = text.exact(infant.identifier, 64, "the infant's identifier")
    dataset.PatientBirthDate = text.da(infant.birth_date)
    if infant.birth_time is not None:
        dataset.PatientBirthTime = text.tm(infant.birth_time)
    dataset.PatientSex = infant.sex
    if old := text.age(infant.birth_date, exam.opened_at.date()):
        dataset.PatientAge = old


def _study(dataset: Dataset, exam: DicomExam) -> None:
    order = exam.order
    dataset.StudyInstanceUID = uids.study(exam)
    dataset.StudyDate, dataset.StudyTime = text.da(exam.opened_at), text.tm(exam.opened_at)
    dataset.ReferringPhysicianName = text.person_name(order.referring_physician)
    dataset.StudyID = uids.study(exam)[-16:]
    dataset.AccessionNumber = text.exact(order.accession, 16, "the accession number")
    dataset.StudyDescription = text.short(order.description, 64) or codes.SCREENING.meaning


def _equipment(dataset: Dataset, exam: DicomExam) -> None:
    made = exam.equipment
    dataset.Manufacturer = text.short(made.manufacturer, 64) or UNKNOWN_MAKER
    dataset.ManufacturerModelName = text.short(made.model, 64) or UNKNOWN_MAKER
    dataset.DeviceSerialNumber = text.short(made.serial, 64) or UNKNOWN_MAKER
    dataset.SoftwareVersions = text.short(made.software, 64) or UNKNOWN_MAKER
    if made.institution:
        dataset.InstitutionName = text.short(made.institution, 64)
    if made.station:
        dataset.StationName = text.short(made.station, 16)


def put_series(dataset: Dataset, exam: DicomExam, kind: str, modality: str, number: int, description: str) -> None:
    """General series; `number` is the series' and `kind` what its UID is derived from."""
    dataset.Modality = modality
    dataset.SeriesInstanceUID = uids.series(exam, kind)
    dataset.SeriesNumber = number
    dataset.SeriesDescription = description
    dataset.SeriesDate, dataset.SeriesTime = text.da(exam.opened_at), text.tm(exam.opened_at)
    if modality in ("SR", "KO"):  # the series of a document knows neither operator nor request
        return
    if exam.operator and modality != "DOC":
        dataset.OperatorsName = text.person_name(exam.operator)
    if exam.order.requested_procedure_id:
        request = Dataset()
        request.RequestedProcedureID = text.exact(exam.order.requested_procedure_id, 16, "the requested procedure")
        if exam.order.step_id:
            request.ScheduledProcedureStepID = text.exact(exam.order.step_id, 16, "the scheduled step")
        request.RequestedProcedureDescription = dataset.StudyDescription
        dataset.RequestAttributesSequence = Sequence([request])


def describe_pixels(dataset: Dataset, width: int, height: int) -> None:
    """Image pixel module of an RGB picture with 8 bits, without the pixels."""
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = height, width
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"


def put_pixels(dataset: Dataset, pixels: UInt8Array) -> None:
    """RGB uint8 [H, W, 3], as they are; raises `RecordUnusable` when they are not what was described."""
    if pixels.shape != (dataset.Rows, dataset.Columns, 3):
        raise RecordUnusable(
            f"image {dataset.get('InstanceNumber', '')}: got {list(pixels.shape)} pixels, "
            f"expected {[dataset.Rows, dataset.Columns, 3]} as the exam says; verify the journal"
        )
    raw = np.ascontiguousarray(pixels).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB"

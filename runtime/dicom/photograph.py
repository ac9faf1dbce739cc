"""Ophthalmic Photography image: one accepted frame."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import OphthalmicPhotography8BitImageStorage

from runtime.dicom import codes, text, uids
from runtime.dicom.modules import describe_pixels, header, put_pixels, put_series
from runtime.dicom.records import DicomExam, Shot
from runtime.views import Eye

SERIES_NUMBER = 1
PHOTOGRAPH = OphthalmicPhotography8BitImageStorage
"""SOP class of an exam's images."""
LATERALITY = {Eye.OD: "R", Eye.OS: "L"}


def photograph(exam: DicomExam, shot: Shot, *, pixels: bool = True) -> Dataset:
    """The image object of a frame: 8 bit Ophthalmic Photography (PS3.3 A.41).

    It says how wide its field is and stays in the common class: the wide field classes are for projections of the
    fundus, which no camera gives that is known here. Without `pixels` it is what a report needs of the image, and
    cannot be sent.
    """
    dataset = header(exam, PHOTOGRAPH, uids.shot(exam, shot, "photograph"), shot.captured_at)
    put_series(dataset, exam, "photograph", "OP", SERIES_NUMBER, "Fundus photographs")
    describe_pixels(dataset, shot.width, shot.height)
    if pixels:
        put_pixels(dataset, shot.load())
    _image(dataset, shot)
    _synchronization(dataset, exam)
    _acquisition(dataset, exam, shot)
    return dataset


def _image(dataset: Dataset, shot: Shot) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "COLOR"]
    dataset.InstanceNumber = shot.number
    dataset.PatientOrientation = ""
    dataset.ContentDate, dataset.ContentTime = text.da(shot.captured_at), text.tm(shot.captured_at)
    dataset.AcquisitionDateTime = text.dt(shot.captured_at)
    dataset.ImageComments = f"{shot.eye.value}, {shot.view.value}"
    dataset.BurnedInAnnotation = "NO"
    dataset.NumberOfFrames = 1
    dataset.FrameIncrementPointer = 0x00181065  # Frame Time Vector: the module wants a pointer also for one frame
    dataset.FrameTimeVector = "0"


def _synchronization(dataset: Dataset, exam: DicomExam) -> None:
    dataset.SynchronizationFrameOfReferenceUID = uids.derived("clock", exam.exam_id)
    dataset.SynchronizationTrigger = "NO TRIGGER"
    dataset.AcquisitionTimeSynchronized = "N"


def _acquisition(dataset: Dataset, exam: DicomExam, shot: Shot) -> None:
    """Ocular region, acquisition parameters and photographic parameters; what nobody recorded stays empty."""
    equipment = exam.equipment
    dataset.ImageLaterality = LATERALITY[shot.eye]
    dataset.AnatomicRegionSequence = codes.items(codes.RETINA)
    dataset.AcquisitionContextSequence = Sequence()
    dataset.HorizontalFieldOfView = equipment.field_of_view_deg
    dataset.PupilDilated = {True: "YES", False: "NO", None: ""}[equipment.pupil_dilated]
    if equipment.pupil_dilated:
        dataset.MydriaticAgentSequence = Sequence()
        dataset.DegreeOfDilation = None
    dataset.RefractiveStateSequence = Sequence()
    dataset.EmmetropicMagnification = None
    dataset.IntraOcularPressure = None
    dataset.PatientEyeMovementCommanded = ""
    dataset.AcquisitionDeviceTypeCodeSequence = codes.items(codes.FUNDUS_CAMERA)
    dataset.IlluminationTypeCodeSequence = Sequence()
    dataset.LightPathFilterTypeStackCodeSequence = Sequence()
    dataset.ImagePathFilterTypeStackCodeSequence = Sequence()
    dataset.LensesCodeSequence = Sequence()
    dataset.DetectorType = ""

"""Secondary Capture: the overlay picture of one frame, with the outcome written into it."""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from runtime.dicom import codes, text, uids
from runtime.dicom.modules import describe_pixels, header, put_pixels, put_series
from runtime.dicom.photograph import LATERALITY, PHOTOGRAPH
from runtime.dicom.records import DicomExam, Shot
from runtime.sinks.draw import draw_overlay

SERIES_NUMBER = 2


def overlay(exam: DicomExam, shot: Shot) -> Dataset:
    """The overlay of a frame as Secondary Capture (PS3.3 A.8), drawn as `runtime.screen` draws it."""
    dataset = header(exam, SecondaryCaptureImageStorage, uids.shot(exam, shot, "overlay"), shot.captured_at)
    put_series(dataset, exam, "overlay", "OP", SERIES_NUMBER, "Screening overlays")
    picture = draw_overlay(shot.load(), replace(shot.reading, vessels=shot.vessels()))
    describe_pixels(dataset, picture.shape[1], picture.shape[0])
    put_pixels(dataset, picture)
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType = "WSD"
    dataset.InstanceNumber = shot.number
    dataset.PatientOrientation = ""
    dataset.ImageLaterality = LATERALITY[shot.eye]
    dataset.AnatomicRegionSequence = codes.items(codes.RETINA)
    dataset.ContentDate, dataset.ContentTime = text.da(shot.captured_at), text.tm(shot.captured_at)
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = dataset.ContentDate, dataset.ContentTime
    dataset.ImageComments = f"{shot.eye.value}, {shot.view.value}: {text.plain(shot.reading.bundle.notice)}"
    # The camera's name for the frame is written into the picture, and a file may have been named after an infant.
    dataset.BurnedInAnnotation = "YES"
    dataset.DerivationDescription = "Vessels drawn over the photograph, outcome written above it"
    source = Dataset()
    source.ReferencedSOPClassUID = PHOTOGRAPH
    source.ReferencedSOPInstanceUID = uids.shot(exam, shot, "photograph")
    dataset.SourceImageSequence = Sequence([source])
    return dataset

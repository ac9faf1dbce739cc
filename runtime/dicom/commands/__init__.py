"""The verbs of `python -m runtime.dicom`."""

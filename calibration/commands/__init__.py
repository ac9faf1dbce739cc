"""The words of `python -m calibration`: a file each."""

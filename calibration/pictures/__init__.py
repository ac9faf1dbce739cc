"""Pictures of a calibration set, for the eye: the montage of its frames and the histograms of its features."""

from calibration.pictures.histograms import draw_histograms
from calibration.pictures.montage import draw_montage

__all__ = ["draw_histograms", "draw_montage"]

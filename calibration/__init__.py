"""Calibration sets for low precision: choosing, checking and describing them."""

"""Other ways to read the same frames, to measure against."""

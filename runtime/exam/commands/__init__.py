"""The verbs of `python -m runtime.exam`, by what they work on."""

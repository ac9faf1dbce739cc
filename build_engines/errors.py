"""What can go wrong on the build side.

BuildError
|-- CheckpointError     a checkpoint that cannot be read, or whose tensors do not fit the network
|-- TrainingDataError   training data that is missing or not as described
|-- QuantizationError   a graph that cannot be had in the precision asked for, or a set that does not fit it
`-- ParityError         an exported graph that does not give the network's outputs
"""

from __future__ import annotations


class BuildError(Exception):
    """Base of every error that the build side raises on purpose; its text is for the user."""


class CheckpointError(BuildError):
    """A checkpoint cannot be read, or its tensors do not fit the network."""


class TrainingDataError(BuildError):
    """Training data is missing or is not as described."""


class QuantizationError(BuildError):
    """A graph cannot be had in the precision asked for, or the calibration set does not fit it."""


class ParityError(BuildError):
    """An exported graph does not give the network's outputs."""

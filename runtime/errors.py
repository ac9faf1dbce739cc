"""What can go wrong while screening.

ScreeningError
|-- BundleError             a bundle that is missing, altered, of another schema or for another use
|-- EngineError             a backend that is missing, cannot load, or fails while it runs
|   |-- IncompatiblePlan    a plan for another GPU, library version or bundle
|   `-- EngineAway          the machine that runs the networks cannot be asked now
|       `-- AnswerUnusable  it answered, and not as it must
|-- DeadlineMissed          a stage did not finish inside the budget
|-- OutputError             results cannot be written
`-- ConfigUnusable          the cart's cart.toml cannot be read, or a key of it is wrong
"""

from __future__ import annotations


class ScreeningError(Exception):
    """Base of every error of this package; its text says what, got, expected, do this."""


class BundleError(ScreeningError):
    """The bundle is missing, altered, of another schema, or for another use."""


class EngineError(ScreeningError):
    """The backend is missing, cannot load the networks, or fails while it runs."""


class IncompatiblePlan(EngineError):
    """The plan was built for another GPU, library version or bundle."""


class EngineAway(EngineError):
    """The machine that runs the networks cannot be asked now: lost, full, or back and not tested yet."""


class AnswerUnusable(EngineAway):
    """It answered, and what came is no result: another bundle's, damaged, of another shape. It is taken for lost."""


class DeadlineMissed(ScreeningError):
    """A stage did not finish inside the budget; there is no result for the frame."""


class OutputError(ScreeningError):
    """Results cannot be written; the readings that were written stay whole."""


class ConfigUnusable(ScreeningError):
    """`cart.toml` cannot be read, or a key of it is wrong; the text names the key."""

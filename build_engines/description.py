"""What a bundle must say of its model that cannot be read off the weights: classes, use, data, figures."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from build_engines.errors import BuildError
from device.outputs import PUBLIC, write_whole
from runtime.checked_json import first_problem, model_from
from runtime.manifest import DISEASE, ClassLabel, CrossValidation, Metric, TrainingSet


class Description(BaseModel):
    """The part of the manifest that the maker of a model writes. As JSON it stands beside the checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    issue: int = Field(default=0, ge=0)
    """Grows with each issue of this name; 0 is not numbered."""
    expires: date | None = None
    """Last day on which the bundle may be used; None sets no end."""
    disease: str = DISEASE
    intended_use: str = Field(min_length=1)
    clinical_use: bool = False
    classes: tuple[ClassLabel, ...] = Field(min_length=2)
    refer_threshold: float = Field(default=0.5, gt=0, lt=1)
    training_data: tuple[TrainingSet, ...] = ()
    metrics: tuple[Metric, ...] = ()
    cross_validation: CrossValidation | None = None

    def save(self, path: Path) -> None:
        """Write as JSON."""
        write_whole(path, (self.model_dump_json(indent=2) + "\n").encode(), PUBLIC)


def load_description(path: Path) -> Description:
    """Read a description. Raises `BuildError` when it cannot be read or is not one."""
    try:
        return model_from(Description, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"description {path}: cannot be read ({error.strerror or error})") from None
    except ValidationError as error:
        problem = first_problem(error, "description")
        raise BuildError(f"description {path}: {problem}; see build_engines/description.py") from None
    except ValueError as error:
        raise BuildError(f"description {path}: not JSON ({error})") from None


def plain_description(name: str, classes: int) -> Description:
    """For a checkpoint that nobody described: numbered classes, of which all but the first refer."""
    return Description(
        name=name,
        version="0",
        intended_use="Not stated: built without a description. Not for clinical use.",
        classes=tuple(
            ClassLabel(name=f"class_{i}", meaning=f"Output {i} of the classifier; not described.", refer=i > 0)
            for i in range(classes)
        ),
    )

"""The bundle manifest, `rop.bundle/1`: what a bundle says of itself, checked as it is read."""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from device.shown import printable
from runtime.exact import EXACT

BUNDLE_SCHEMA = "rop.bundle/1"
DISEASE = "retinopathy of prematurity"
"""The one disease that this runtime screens for; a bundle for another is refused."""
Network = Literal["segmentation", "classifier"]
NETWORKS = ("segmentation", "classifier")
FAMILIAR = "reference/familiar.json"
"""The file that tells what is a fundus as the networks know it, see `runtime.familiar`."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
PAIRS_OF_PARTS = (("segmentation", "classifier"), ("segmentation", "raw", "guided", "head"))
"""Of saved graphs: the classifier whole, or in three."""
LARGEST_FILE = 8 * 2**30
"""Bytes; nothing that screens is larger."""
LONGEST_NAME = 255
"""Bytes of a file's or folder's name, as file systems allow."""
DEFAULT_KEY = r"^[a-z0-9-]+(/[a-z0-9_]+)?$"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassLabel(_Part):
    """One class of the classifier, in the order of its outputs."""

    name: str = Field(min_length=1)
    meaning: str = Field(min_length=1)
    """One sentence: what the class says of the frame, and no more."""
    refer: bool
    """Whether the class counts towards referral."""


class NetworkFacts(_Part):
    """Which network was trained."""

    architecture: Literal["SegImgNet"]
    size: str
    parameters: int = Field(gt=0)


class InputFacts(_Part):
    """What the graphs take; the runtime prepares exactly this."""

    width: Annotated[Literal[256], EXACT]
    height: Annotated[Literal[256], EXACT]
    layout: Literal["NHWC"]
    dtype: Literal["uint8"]
    color: Literal["RGB"]
    resize: Literal["antialiased bilinear"]


class ResizeFacts(_Part):
    """How a frame becomes the networks' input, for other implementations; `runtime.preprocess` is the one meant.

    The shorter side is divided by `keep_at_least`, whole, at least 1 and at most `largest_reduction`: so many pixels of
    each direction first become one, their mean. Then comes one weighted sum for each of 256 places across, and down,
    by a triangle as wide as the shrink, in fractions of 2 to the `weight_bits`.
    """

    keep_at_least: Annotated[Literal[480], EXACT] = 480
    largest_reduction: Annotated[Literal[16], EXACT] = 16
    weight_bits: Annotated[Literal[22], EXACT] = 22


class SavedGraphs(_Part):
    """A pair of networks as OpenVINO IR, changed for a CPU already as the runtime changes the graphs when it loads."""

    precision: dict[Network, Precision]
    handed_on: Literal["f32", "bf16", "f16"]
    """Element type in which the first network hands its maps to the second: it fits machines that choose the same."""
    folder: str = Field(pattern=r"^ir/[a-z0-9+-]+$")
    parts: tuple[Literal["segmentation", "classifier", "raw", "guided", "head"], ...]
    """The segmentation, and the classifier or its two branches and its head; each a file PART.xml and one PART.bin."""
    openvino: str
    """Version that wrote them."""

    @field_validator("parts")
    @classmethod
    def _whole(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        if parts not in PAIRS_OF_PARTS:
            raise ValueError(f"must be one of {' or '.join(map(', '.join, PAIRS_OF_PARTS))}")
        return parts

    @property
    def paths(self) -> tuple[str, ...]:
        """Of its files, in the bundle."""
        return tuple(f"{self.folder}/{part}.{ending}" for part in self.parts for ending in ("xml", "bin"))


class TrainingSet(_Part):
    """A data set that the networks were trained on."""

    name: str
    frames: int = Field(ge=0)
    citation: str
    licence: str
    source: str


MetricName: TypeAlias = Literal["dice", "f1_one_pixel", "cl_dice", "roc_auc", "sensitivity", "specificity"]


class Metric(_Part):
    """One measured figure with its 95 % interval and the number of frames behind it."""

    task: Literal["segmentation", "classification"]
    name: MetricName
    dataset: str
    device: str
    """Camera, the data set's name, `all`, or `second observer`: a person's masks against another's."""
    precision: Precision
    value: float = Field(ge=0, le=1, allow_inf_nan=False)
    low: float = Field(ge=0, le=1, allow_inf_nan=False)
    high: float = Field(ge=0, le=1, allow_inf_nan=False)
    frames: int = Field(gt=0)


class ReliabilityBin(_Part):
    """Frames of which like probabilities were stated, and how many of them were positive."""

    stated: float = Field(ge=0, le=1, allow_inf_nan=False)
    observed: float = Field(ge=0, le=1, allow_inf_nan=False)
    frames: int = Field(gt=0)


class CrossValidation(_Part):
    """What the threshold and the probabilities rest on: training frames, each read by a network that never saw it."""

    folds: int = Field(ge=2)
    read: int | None = Field(default=None, ge=1)
    """How many of the folds were trained and read; None: all of them."""
    metrics: tuple[Metric, ...]
    """Over all folds, at the bundle's threshold and temperature."""
    sensitivity: float = Field(gt=0, lt=1, allow_inf_nan=False)
    """That the threshold was chosen for."""
    threshold_low: float = Field(ge=0, le=1, allow_inf_nan=False)
    threshold_high: float = Field(ge=0, le=1, allow_inf_nan=False)
    temperature: float = Field(gt=0, allow_inf_nan=False)
    """By which the logits were divided, in the weights of the last layer."""
    calibration_error: float = Field(ge=0, le=1, allow_inf_nan=False)
    """Mean distance of stated and observed, over the bins."""
    reliability: tuple[ReliabilityBin, ...]


Words = Annotated[str, Field(min_length=1, max_length=4000)]


class VersionNote(_Part):
    """One version of a model, and what changed with it."""

    version: str = Field(min_length=1)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    changes: Words


class Stated(_Part):
    """What only the maker of a model can say, a few sentences each, and what reviewers ask for (GMLP, STARD-AI,
    CONSORT-AI). The model card shows each, and a gap as a gap; nothing here decides anything on a cart."""

    preparation: Words | None = None
    """How the training images were prepared and augmented."""
    splitting: Words | None = None
    """How the frames behind the figures were kept apart from training, and by what unit."""
    intervals: Words | None = None
    """How the 95 % intervals of the figures were calculated."""
    figures: Words | None = None
    """What else must be known to read the figures."""
    population: Words | None = None
    """Infants: how they were chosen, where and when; ages and weights."""
    unit_of_analysis: Words | None = None
    """Frame, eye or infant, and how several became one."""
    participant_flow: Words | None = None
    """How many were eligible, entered, left out and why; frames without an answer."""
    reference_standard: Words | None = None
    """What truth is: which examination, which criteria, how long before or after."""
    graders: Words | None = None
    """Who judged, how many, with what training, blinded to what; their agreement."""
    subgroups: Words | None = None
    """By which groups the figures were looked at, and where they are worse."""
    threshold_origin: Words | None = None
    """On which frames, and for what aim, the refer threshold was chosen."""
    deployed_precision: Words | None = None
    """Whether the figures are of the precision and engine that carts run."""
    failure_cases: Words | None = None
    """What is known to be read wrongly, and how that was looked for."""
    limitations: Words | None = None
    """Where the model must not be used."""
    change_plan: Words | None = None
    """What may be changed later without a new review, and how that is tested (PCCP)."""
    contact: Words | None = None
    """Whom to tell of a fault."""
    licence: Words | None = None
    """Of the weights, as an SPDX identifier."""
    version_history: tuple[VersionNote, ...] = ()
    """The newest first."""


class QuantizedNetwork(_Part):
    """What was quantized in a network's `int8` graph; layers are its convolutions and matrix products."""

    method: Literal["max", "entropy"]
    """How the ranges of activations were found."""
    frames: int = Field(gt=0)
    """Of the calibration set, in its order."""
    layers: int = Field(gt=0)
    """How many layers take INT8 inputs and weights; a backend that runs fewer in INT8 passes over Q/DQ."""
    kept: dict[str, tuple[str, ...]]
    """Names of the layers that stay in half precision, by the reason."""


class FileEntry(_Part):
    """One file of the bundle."""

    path: str
    """Relative, with forward slashes, inside the bundle."""
    size: int = Field(ge=0, le=LARGEST_FILE)
    """Bytes."""
    sha256: Sha256

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or "\\" in path or any(p in ("..", ".") for p in parts):
            raise ValueError("must be a relative path inside the bundle")
        if not path.isprintable() or any(len(part.encode()) > LONGEST_NAME for part in parts):
            raise ValueError(f"must be names of at most {LONGEST_NAME} bytes, without control characters")
        return path


class Manifest(_Part):
    """The whole of `manifest.json`."""

    schema_: Literal["rop.bundle/1"] = Field(alias="schema")
    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    created: str
    """Date, ISO 8601."""
    issue: int = Field(default=0, ge=0)
    """Grows with each issue of this name: a cart that has used a higher one refuses it. 0: not numbered."""
    expires: date | None = None
    """Last day on which it may be used (UTC); None sets no end."""
    network: NetworkFacts
    input: InputFacts
    resize: ResizeFacts | None = None
    """None in bundles of before 0.2.0, which mean the same."""
    gate: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None
    """The quality gate's limits by their names in `runtime.quality.QualityLimits`, which a site's profile may change;
    None takes the runtime's own."""
    disease: str
    intended_use: str = Field(min_length=1)
    clinical_use: bool
    """False for demonstrations: every result then says that it is not for clinical use."""
    classes: tuple[ClassLabel, ...] = Field(min_length=2)
    refer_threshold: float = Field(gt=0, lt=1)
    """REFER when the refer classes' probabilities add up to this or more."""
    training_data: tuple[TrainingSet, ...]
    metrics: tuple[Metric, ...]
    cross_validation: CrossValidation | None = None
    """None where the threshold comes from elsewhere."""
    stated: Stated = Stated()
    """For the card."""
    calibration_sha256: Sha256 | None = None
    """Of the calibration set behind `int8`; None where there is no such graph."""
    quantization: dict[Network, QuantizedNetwork] = {}
    """Of each network with an `int8` graph."""
    parity_report: str | None = None
    """File in the bundle that holds every precision's figures against fp32 (`rop.parity/1`)."""
    default_precision: dict[Annotated[str, Field(pattern=DEFAULT_KEY)], dict[Network, Precision]]
    """By backend, then by network: what `--precision auto` runs. `openvino/amx` goes before `openvino` on a CPU of the
    class `amx` (`runtime.cpu_class`); classes that a runtime does not know are passed over."""
    tools: dict[str, str]
    saved_graphs: tuple[SavedGraphs, ...] = ()
    """Beside the ONNX graphs, never in their place."""
    files: tuple[FileEntry, ...]

    @field_validator("name", "version")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if printable(text) != text:
            raise ValueError("must be one line without control characters")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        names = [label.name for label in self.classes]
        if len(set(names)) != len(names):
            raise ValueError(f"classes: names must differ, got {', '.join(names)}")
        if len({label.refer for label in self.classes}) != 2:
            raise ValueError("classes: at least one must count towards referral and at least one must not")
        paths = [entry.path for entry in self.files]
        if len(set(paths)) != len(paths):
            raise ValueError("files: a path is listed twice")
        absent = [path for saved in self.saved_graphs for path in saved.paths if path not in paths]
        if absent:
            raise ValueError(f"saved_graphs: {absent[0]} is not among the files")
        return self


def graph_name(network: str, precision: str) -> str:
    """File name of a graph in a bundle, `segmentation.fp32.onnx`."""
    return f"{network}.{precision}.onnx"

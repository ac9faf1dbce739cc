"""Fitting the test of what is a fundus as the networks know it: statistics of their encoder over gradable frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from build_engines.bundle import rewriting, written
from build_engines.card import CARD
from build_engines.errors import BuildError
from device.cameras import open_camera
from device.errors import FrameUnreadable
from device.secrets import hide_secrets
from runtime.arrays import FloatArray, UInt8Array
from runtime.bundle import Bundle, open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.familiar import FAMILIAR_SCHEMA, Familiar, FamiliarContent, distances
from runtime.manifest import FAMILIAR, NETWORKS, graph_name
from runtime.preprocess import network_input
from runtime.quality import grade

AXES = 48
FRAMES_AN_AXIS = 4
"""Fewer axes are taken where there are not so many frames for each."""
FEWEST = 40
"""Frames of all cameras together, at least."""
FOLDS = 5
MARGIN = 1.1
"""The limit is so much more than the farthest frame lay from a fit that had not seen it or its like."""
SHIFTED = 24
"""Frames that other precisions read, too."""
ALIKE = 2.0
"""Mean difference in levels, 16 x 16, up to which two frames are taken for one that is there twice."""
HEADING = "## What is refused as no fundus"
"""The last section of a card."""
UNSEEN = (
    "A frame that lies farther from these, as the encoder sees it, than the limit is RETAKE. It is a test of mistakes, "
    "not of deceit: it cannot see that a fundus is photographed from a screen or a page, is another infant's, has "
    "another disease, or that a picture was made to look like one. A camera whose frames were not in the fit may be "
    "refused."
)
STEADY_SCALE = 0.02
"""Added to each channel's spread: one that never varies must not count without bound."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Gradable frames of one camera, as the networks get them."""

    camera: str
    images: tuple[UInt8Array, ...]
    """RGB, uint8 [256, 256, 3] each, in their order."""


def add_familiar(
    bundle: Bundle,
    sources: Mapping[str, Sequence[str]],
    most: int,
    report: Callable[[str], None] = lambda line: None,
) -> FamiliarContent:
    """Fit and write `reference/familiar.json` into a bundle that stands; its signature is gone, as it no longer fits.

    sources: by camera. most: frames of each source. Raises `BuildError`, `CameraError` for a source.
    """
    cameras = []
    for camera, texts in sources.items():
        report(f"{camera}: looking for gradable frames in {', '.join(map(hide_secrets, texts))}")
        cameras.append(_frames(camera, texts, most))
        report(f"{camera}: {len(cameras[-1].images)} gradable frames")
    content = fitted(bundle, cameras, report)
    with rewriting(bundle) as folder:
        path = folder / FAMILIAR
        path.parent.mkdir(exist_ok=True)
        path.write_text(content.model_dump_json(by_alias=True) + "\n", encoding="utf-8")
        _tell_card(folder / CARD, content)
        written(folder, bundle.manifest)
    open_bundle(bundle.path)
    return content


def _tell_card(path: Path, content: FamiliarContent) -> None:
    """Say in the bundle's card what the test keeps and what it cannot see, in the place of what stood there before."""
    before = path.read_text(encoding="utf-8").split(HEADING)[0].rstrip() if path.is_file() else ""
    path.write_text(f"{before}\n\n{card_section(content)}", "utf-8")


def card_section(content: FamiliarContent) -> str:
    """What a card says of the test, at its end."""
    kept = ", ".join(f"{name} {found.kept} of {found.frames}" for name, found in content.cameras.items())
    return f"{HEADING}\n\nFrames kept by a fit that did not know them: {kept}. {UNSEEN}\n"


def fitted(
    bundle: Bundle, cameras: Sequence[Frames], report: Callable[[str], None] = lambda line: None
) -> FamiliarContent:
    """The file's content. Raises `BuildError` where there are too few frames."""
    images = [image for found in cameras for image in found.images]
    if len(images) < FEWEST:
        raise BuildError(f"familiar: got {len(images)} gradable frames, needed {FEWEST}; name more --reference")
    finest = bundle.precisions("segmentation")[0]
    report(f"fitting {len(images)} frames, each part by the others, then in every precision")
    encoded = encodings(bundle, finest, images)
    folds = np.concatenate([_folds(found.images) for found in cameras])
    held_out = np.zeros(len(images), np.float32)
    for fold in range(FOLDS):
        out = folds == fold
        if out.any():
            held_out[out] = distances(encoded[out], fit(encoded[~out]))
    whole = fit(encoded)
    chosen = np.linspace(0, len(images) - 1, min(SHIFTED, len(images))).astype(int)
    shift = 0.0
    for precision in bundle.precisions("segmentation"):
        if precision != finest:
            other = distances(encodings(bundle, precision, [images[at] for at in chosen]), whole)
            shift = max(shift, float((other - distances(encoded[chosen], whole)).max()))
    limit = (float(held_out.max()) + shift) * MARGIN
    report(f"farthest frame held out {held_out.max():.2f}, moved by other precisions {shift:.2f}, limit {limit:.2f}")
    kept = np.array(
        [value <= held_out[folds != fold].max() * MARGIN for value, fold in zip(held_out, folds, strict=True)]
    )
    names = np.repeat([found.camera for found in cameras], [len(found.images) for found in cameras])
    return FamiliarContent.model_validate(
        {
            "schema": FAMILIAR_SCHEMA,
            "segmentation_sha256": _graph_sha256(bundle),
            "mean": _rounded(whole.mean),
            "scale": _rounded(whole.scale),
            "axes": [_rounded(axis) for axis in whole.axes],
            "variances": _rounded(whole.variances),
            "rest": whole.rest,
            "limit": limit,
            "cameras": {
                found.camera: {
                    "frames": len(found.images),
                    "kept": int(kept[names == found.camera].sum()),
                }
                for found in cameras
            },
        }
    )


def fit(encoded: FloatArray) -> Familiar:
    """Mean, scale and principal components of frames, without a limit. encoded: float32 [N, F], see `Inference`."""
    logs = np.log1p(np.maximum(encoded.astype(np.float64), 0))
    mean, scale = logs.mean(axis=0), logs.std(axis=0) + STEADY_SCALE
    z = (logs - mean) / scale
    _, lengths, axes = np.linalg.svd(z, full_matrices=False)
    count = max(1, min(AXES, len(z) // FRAMES_AN_AXIS, int((lengths > 1e-6 * lengths[0]).sum())))
    axes, variances = axes[:count], np.maximum(np.square(lengths[:count]) / len(z), 1e-6)
    rest = max(float((np.square(z).sum(axis=1) - np.square(z @ axes.T).sum(axis=1)).mean()), 1e-3)
    return Familiar(
        mean.astype(np.float32),
        scale.astype(np.float32),
        axes.astype(np.float32),
        variances.astype(np.float32),
        rest=rest,
        limit=np.inf,
    )


def encodings(bundle: Bundle, precision: str, images: Sequence[UInt8Array]) -> FloatArray:
    """`Inference.encoded` of each, float32 [N, F], by the CPU engine in that precision of the segmentation."""
    classifier = precision if precision in bundle.precisions("classifier") else bundle.precisions("classifier")[0]
    found = []
    with OpenVINOEngine(bundle, dict(zip(NETWORKS, (precision, classifier), strict=True))) as engine:
        if not engine.encodes:
            raise BuildError(f"bundle {bundle.path}: its segmentation hands out no feature maps; build it again")
        for image in images:
            encoded = engine.infer(np.ascontiguousarray(image[np.newaxis])).encoded
            assert encoded is not None  # the engine's own check
            found.append(encoded.copy())
    return np.array(found, np.float32)


def _folds(images: Sequence[UInt8Array]) -> FloatArray:
    """Which fold each frame of a camera is held out with: neighbours together, and frames that are there twice.

    A data set lists the frames of one infant one after the other.
    """
    thumbnails = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA).astype(np.int16) for image in images]
    groups: list[int] = []
    for number, thumbnail in enumerate(thumbnails):
        like = (groups[i] for i in range(number) if np.abs(thumbnail - thumbnails[i]).mean() <= ALIKE)
        groups.append(next(like, number))
    return np.array(groups) * FOLDS // max(len(images), 1)


def _frames(camera: str, sources: Sequence[str], most: int) -> Frames:
    images: list[UInt8Array] = []
    for source in sources:
        with open_camera(source) as frames:
            for _ in range(most):
                try:
                    frame = frames.read()
                except FrameUnreadable:
                    continue
                if frame is None:
                    break
                image = network_input(frame.pixels)[0]
                if grade(image).gradable:
                    images.append(image)
    return Frames(camera, tuple(images))


def _graph_sha256(bundle: Bundle) -> str:
    wanted = graph_name("segmentation", "fp32")
    return next(entry.sha256 for entry in bundle.manifest.files if entry.path == wanted)


def _rounded(values: FloatArray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]

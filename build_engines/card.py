"""MODEL_CARD.md of a bundle, every figure from its manifest and its parity report."""

from __future__ import annotations

from build_engines.reliability import RELIABILITY_FILE
from build_engines.report.picture import class_of, group_name, shown, title_of
from build_engines.report.schema import ParityReport
from runtime.manifest import CrossValidation, Manifest, Metric, QuantizedNetwork
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE


def model_card(manifest: Manifest, report: ParityReport | None = None) -> str:
    """The card's text; report: the bundle's, where it has one."""
    notice = AID_NOTICE if manifest.clinical_use else f"{AID_NOTICE} {DEMONSTRATION_NOTICE}"
    lines = [
        f"# Model card: {manifest.name}, version {manifest.version}",
        "",
        f"**{notice}**",
        "",
        manifest.intended_use,
        "",
        f"- Network: {manifest.network.architecture} (arXiv 2503.00267), size `{manifest.network.size}`, "
        f"{manifest.network.parameters:,} parameters",
        f"- Input: {manifest.input.color}, {manifest.input.width} x {manifest.input.height}, {manifest.input.resize}",
        f"- Refers when the classes marked below add up to {manifest.refer_threshold:g} or more",
        f"- Built {manifest.created} with " + ", ".join(f"{k} {v}" for k, v in manifest.tools.items()),
        "",
        "## Classes",
        "",
        "| class | means | refers |",
        "|---|---|---|",
        *(f"| `{c.name}` | {c.meaning} | {'yes' if c.refer else 'no'} |" for c in manifest.classes),
        "",
        "## Figures on held-out frames",
        "",
        "Frames were held out by frame group, so no near-identical frame stands on both sides; other frames of one "
        "infant may, since the data sets carry no patient numbers. Intervals are 95 % bootstrap. Figures of "
        "vessels are means over frames at 256 x 256 and a threshold of 0.5. Masks are drawn by hand, so Dice mostly "
        "measures the width of the strokes; `f1_one_pixel` counts a vessel pixel when the other map has one within a "
        "pixel, `cl_dice` compares centrelines. A `second observer` is a person's masks against another person's.",
        "",
        "| task | figure | data set | device | precision | value | 95 % interval | frames |",
        "|---|---|---|---|---|---|---|---|",
        *map(_metric, manifest.metrics),
        "",
        *(_validation(manifest.cross_validation) if manifest.cross_validation else ()),
        *(_precisions(manifest, report) if report else ()),
        "## Trained on",
        "",
        *(
            f"- `{t.name}`, {t.frames} frames, {t.licence}: {t.citation}. <{t.source}>. Images were resized and "
            f"augmented; the weights are derived from them."
            for t in manifest.training_data
        ),
    ]
    return "\n".join(lines) + "\n"


def _metric(m: Metric) -> str:
    return (
        f"| {m.task} | {m.name} | {m.dataset} | {m.device} | {m.precision} | {m.value:.3f} | "
        f"{m.low:.3f} to {m.high:.3f} | {m.frames} |"
    )


def _validation(found: CrossValidation) -> list[str]:
    return [
        "## Cross-validation",
        "",
        f"{_read(found)} was read by a classifier trained on the other {found.folds - 1} of {found.folds} parts "
        f"(the segmentation is the same throughout). The threshold is the largest at which {found.sensitivity:.0%} of "
        f"the frames with a finding refer; drawn again and again from these frames it lies between "
        f"{found.threshold_low:.2f} and {found.threshold_high:.2f} (95 %). Logits are divided by "
        f"{found.temperature:g}, which makes the truth likeliest; stated and observed shares then differ by "
        f"{found.calibration_error:.3f} in the mean. `{RELIABILITY_FILE}` beside this card draws them.",
        "",
        "| task | figure | data set | device | precision | value | 95 % interval | frames |",
        "|---|---|---|---|---|---|---|---|",
        *map(_metric, found.metrics),
        "",
        "| stated probability (mean of a bin) | observed share | frames |",
        "|---|---|---|",
        *(f"| {part.stated:.2f} | {part.observed:.2f} | {part.frames} |" for part in found.reliability),
        "",
    ]


def _read(found: CrossValidation) -> str:
    if found.read is None or found.read == found.folds:
        return "Each training frame"
    parts = "the first part" if found.read == 1 else f"the first {found.read} parts"
    return f"Each frame of {parts} of the training frames, but none of the others,"


def _precisions(manifest: Manifest, report: ParityReport) -> list[str]:
    features = ", ".join(report.machine.features) or "none of the listed instructions"
    return [
        "## Precisions against fp32",
        "",
        f"Measured with OpenVINO {report.machine.openvino} on {report.machine.processor} ({features}), where `fp16` "
        f"runs in {report.machine.half_precision}. Frames: {report.truth}. `{manifest.parity_report}` beside this card "
        f"holds all of it, by data set and device. Times say nothing of another processor or of a GPU.",
        "",
        *(line for found in (report, *report.others) for line in _speeds(found)),
        "| precision | frames of | frames | Dice | AUC | p99 abs. difference of probability | equal outcomes |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {title_of(found)} | {group_name(group)} | {group.frames} | {_figure(group.dice)} | "
            f"{_figure(group.auc)} | {group.p99_difference:.4f} | {group.same_outcomes:.1%} |"
            for found in shown(report)
            for group in (found.held_out, found.every)
        ),
        "",
        *(line for name, network in manifest.quantization.items() for line in _quantized(name, network)),
        "",
    ]


def _speeds(report: ParityReport) -> list[str]:
    """How fast each precision was on one class of CPU, and what is the default there."""
    chosen = ", ".join(f"{network} {precision}" for network, precision in report.chosen.items())
    figures = report.combination(report.chosen["segmentation"], report.chosen["classifier"]).every
    by = report.machine.processor
    held = f"{by} with OpenVINO held to {report.machine.held_to}" if report.machine.held_to else by
    return [
        "| network | precision | speed-up |",
        "|---|---|---|",
        *(f"| {s.network} | {s.precision} | {s.speed_up:.2f} x |" for s in report.speeds),
        "",
        f"Default{class_of(report)} (measured on {held}): {chosen}; there {figures.same_outcomes:.1%} of "
        f"{figures.frames} outcomes equal fp32's.",
        *(f"Not taken: {reason}." for reason in report.reasons),
        "",
    ]


def _quantized(name: str, network: QuantizedNetwork) -> list[str]:
    kept = ", ".join(f"{len(layers)} {reason}" for reason, layers in network.kept.items())
    return [
        f"- `int8` {name}: {network.layers} layers, ranges by {network.method} over {network.frames} frames of the "
        f"calibration set; in half precision: {kept or 'none'}"
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

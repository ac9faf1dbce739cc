"""MODEL_CARD.md of a bundle, every figure from its manifest and its parity report."""

from __future__ import annotations

from build_engines.description import gaps, says
from build_engines.markdown import PAGE, as_signs, escape, inert
from build_engines.reliability import RELIABILITY_FILE
from build_engines.report.choose import agreement
from build_engines.report.picture import class_of, group_name, shown, title_of
from build_engines.report.schema import ParityReport
from device.shown import printable
from runtime.decide import apart
from runtime.manifest import CrossValidation, Manifest, Metric, QuantizedNetwork, Stated
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE

CARD = "MODEL_CARD.md"
"""In a bundle."""
NOT_STATED = "not stated"
ASKED = {
    "population": "Population",
    "unit_of_analysis": "Unit of analysis",
    "participant_flow": "Flow of participants",
    "reference_standard": "Reference standard",
    "graders": "Graders",
    "subgroups": "Subgroups",
    "threshold_origin": "Origin of the threshold",
    "deployed_precision": "Precision as deployed",
    "failure_cases": "Failure cases",
    "limitations": "Limitations",
    "change_plan": "Plan for changes",
    "contact": "Contact",
    "licence": "Licence of the weights",
}
"""Fields of `Stated` as the card names them; the others stand where they belong."""


def model_card(manifest: Manifest, report: ParityReport | None = None) -> str:
    """The card's text; report: the bundle's, where it has one."""
    notice = AID_NOTICE if manifest.clinical_use else f"{AID_NOTICE} {DEMONSTRATION_NOTICE}"
    lines = [
        f"# Model card: {escape(manifest.name)}, version {escape(manifest.version)}",
        "",
        f"**{notice}**",
        "",
        escape(manifest.intended_use),
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
        *(f"| `{cell(c.name)}` | {_words(c.meaning)} | {'yes' if c.refer else 'no'} |" for c in manifest.classes),
        "",
        *_figures(manifest),
        *(_validation(manifest.cross_validation, manifest.refer_threshold) if manifest.cross_validation else ()),
        *(_precisions(manifest, report) if report else ()),
        *_asked(manifest.stated),
        "## Trained on",
        "",
        *(
            f"- `{cell(t.name)}`, {t.frames} frames, {_words(t.licence)}: {_said(t.citation)} {_source(t.source)}"
            for t in manifest.training_data
        ),
        *([] if manifest.training_data else [f"Data sets: {NOT_STATED}."]),
        "",
        f"How the images were prepared: {_said(manifest.stated.preparation)}",
    ]
    return "\n".join(lines) + "\n"


def _figures(manifest: Manifest) -> list[str]:
    stated = manifest.stated
    lines = [
        "## Figures",
        "",
        f"How their frames were kept apart from training: {_said(stated.splitting)} How the intervals were calculated: "
        f"{_said(stated.intervals)} To read them: {_said(stated.figures)}",
        "",
    ]
    if not manifest.metrics:
        return [*lines, f"Figures: {NOT_STATED}.", ""]
    return [
        *lines,
        "| task | figure | data set | device | precision | value | 95 % interval | frames |",
        "|---|---|---|---|---|---|---|---|",
        *map(_metric, manifest.metrics),
        "",
    ]


def _asked(stated: Stated) -> list[str]:
    """What reviewers ask, gaps shown as gaps."""
    history = [f"- {cell(note.version)}, {note.date}: {_words(note.changes)}" for note in stated.version_history]
    missing = gaps(stated)
    open_ones = [ASKED.get(name, name.replace("_", " ").capitalize()) for name in missing]
    return [
        "## What reviewers ask",
        "",
        "After GMLP, STARD-AI and CONSORT-AI, in the maker's words.",
        "",
        "| asked | stated |",
        "|---|---|",
        *(
            f"| {title} | {NOT_STATED if name in missing else cell(getattr(stated, name))} |"
            for name, title in ASKED.items()
        ),
        "",
        f"Not stated: {', '.join(open_ones) or 'nothing'}.",
        "",
        "### Versions",
        "",
        *(history or [f"History of versions: {NOT_STATED}."]),
        "",
    ]


def cell(text: str) -> str:
    """Words of a description in one line, also of a table.

    Their Markdown stays, but for links that lead to no page; HTML is shown as it stands.
    """
    return inert(as_signs(printable(" ".join(text.split()))))


def _words(text: str | None) -> str:
    """The words, or that there are none."""
    return cell(text) if text and says(text) else NOT_STATED


def _said(text: str | None) -> str:
    """The same with their full stop."""
    words = _words(text)
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _source(text: str) -> str:
    """Where a data set is from: a link where it is a page's address."""
    return f"<{cell(text)}>" if PAGE.fullmatch(text) else f"Source: {_words(text)}."


def _metric(m: Metric) -> str:
    return (
        f"| {m.task} | {cell(m.name)} | {cell(m.dataset)} | {cell(m.device)} | {m.precision} | {m.value:.3f} | "
        f"{m.low:.3f} to {m.high:.3f} | {m.frames} |"
    )


def _validation(found: CrossValidation, threshold: float) -> list[str]:
    low, high, used = apart(found.threshold_low, found.threshold_high, threshold)
    return [
        "## Cross-validation",
        "",
        f"{_read(found)} was read by a classifier trained on the other {found.folds - 1} of {found.folds} parts. "
        f"The largest threshold at which {found.sensitivity:.0%} of the frames with a finding refer lies between "
        f"{low} and {high} (95 %), as these frames are drawn again and again; "
        f"this bundle's is {used}. Logits are divided by "
        f"{found.temperature:g}; stated and observed shares then differ by {found.calibration_error:.3f} in the mean. "
        f"`{RELIABILITY_FILE}` beside this card draws them.",
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
            for group in (found.judged, found.every)
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
        f"Default{class_of(report)} (measured on {held}): {chosen}. Against fp32: "
        f"{agreement(figures, report.tolerance)}.",
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

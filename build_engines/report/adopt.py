"""A report that was measured anew, written into the bundle that it is of: figures, card and default precisions."""

from __future__ import annotations

from pathlib import Path

from build_engines.bundle import rewriting, with_defaults, written
from build_engines.card import CARD, model_card
from build_engines.familiar.fit import card_section
from build_engines.report.choose import OPENVINO
from build_engines.report.schema import ParityReport
from build_engines.report.store import read_report, write_report
from runtime.bundle import Bundle, open_bundle
from runtime.familiar import FamiliarContent
from runtime.manifest import FAMILIAR


def adopt(bundle: Bundle, report: ParityReport) -> Bundle:
    """The bundle with this report in the place of the one it had; graphs, self-test and plans stay, its signature goes.

    What it held of other classes of CPU and of GPUs stays as well, since it is of the same graphs: so a bundle can be
    measured on one machine after another. A GPU's report stands beside that of a CPU, which has to be there. It is
    replaced whole or not at all. Raises `BuildError` when it cannot be written.
    """
    report = _with_others(bundle, report) if report.machine.backend == OPENVINO else _beside(bundle, report)
    with rewriting(bundle) as folder:
        write_report(report, folder)
        draft = with_defaults(bundle.manifest, report)
        (folder / CARD).write_text(model_card(draft, report) + _of_strangers(folder), encoding="utf-8")
        written(folder, draft)
    return open_bundle(bundle.path)


def _of_strangers(folder: Path) -> str:
    """What the card says of the test of what is no fundus, where the bundle has one: it stays, so do its words."""
    if not (folder / FAMILIAR).is_file():
        return ""
    content = FamiliarContent.model_validate_json((folder / FAMILIAR).read_bytes())
    return f"\n{card_section(content)}"


def _beside(bundle: Bundle, report: ParityReport) -> ParityReport:
    held = read_report(bundle)
    kept = [found for found in held.others if found.machine.backend != report.machine.backend]
    return held.model_copy(update={"others": (*kept, report)})


def _with_others(bundle: Bundle, report: ParityReport) -> ParityReport:
    if bundle.manifest.parity_report is None:
        return report
    before = read_report(bundle)
    anew = {found.machine.cpu_class for found in (report, *report.others)}
    kept = [found.model_copy(update={"others": ()}) for found in (before, *before.others)]
    kept = [
        found for found in kept if found.machine.backend != OPENVINO or found.machine.cpu_class not in (None, *anew)
    ]
    return report.model_copy(update={"others": (*report.others, *kept)})

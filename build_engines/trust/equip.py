"""A bundle that stands gets its self-test and stage vectors anew and, where frames are named, its drift reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from build_engines.bundle import rewriting, stated, written
from build_engines.trust.reference import write_reference
from build_engines.trust.selftest import write_self_test
from build_engines.trust.vectors import write_vectors
from runtime.bundle import Bundle, open_bundle
from runtime.trust.selftest import SELF_TEST
from runtime.trust.vectors import VECTORS

SELF_TEST_FOLDER, VECTORS_FOLDER = (path.split("/")[0] for path in (SELF_TEST, VECTORS))


def equip_bundle(
    bundle: Bundle,
    references: Mapping[str, Sequence[str]],
    gradable_share: float,
    report: Callable[[str], None] = lambda line: None,
) -> Bundle:
    """Write the bundle again in its place, graphs and plans as they were; its signature is gone, as it no longer fits.

    references: sources of frames by camera, none to keep the reference that there is. Raises as `build_bundle`.
    """
    gate = bundle.manifest.gate
    draft = bundle.manifest.model_copy(update=stated() if gate is None else {**stated(), "gate": gate})
    with rewriting(bundle, SELF_TEST_FOLDER, VECTORS_FOLDER) as folder:
        report("self-test: asking the networks")
        write_self_test(written(folder, draft))
        report("stage vectors: reading drawn frames")
        write_vectors(written(folder, draft))
        if references:
            write_reference(written(folder, draft), references, gradable_share, report)
        written(folder, draft)
    return open_bundle(bundle.path)

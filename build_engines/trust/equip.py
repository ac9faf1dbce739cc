"""A bundle that stands gets its self-test anew and, where frames are named, its drift reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from build_engines.bundle import rewriting, written
from build_engines.trust.reference import write_reference
from build_engines.trust.selftest import write_self_test
from runtime.bundle import Bundle, open_bundle
from runtime.trust.selftest import SELF_TEST

SELF_TEST_FOLDER = SELF_TEST.split("/")[0]


def equip_bundle(
    bundle: Bundle,
    references: Mapping[str, Sequence[str]],
    gradable_share: float,
    report: Callable[[str], None] = lambda line: None,
) -> Bundle:
    """Write the bundle again in its place, graphs and plans as they were; its signature is gone, as it no longer fits.

    references: sources of frames by camera, none to keep the reference that there is. Raises as `build_bundle`.
    """
    with rewriting(bundle, leave_out=SELF_TEST_FOLDER) as folder:
        report("self-test: asking the networks")
        write_self_test(written(folder, bundle.manifest))
        if references:
            write_reference(written(folder, bundle.manifest), references, gradable_share, report)
        written(folder, bundle.manifest)
    return open_bundle(bundle.path)

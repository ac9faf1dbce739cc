"""What the command lines quote of modules that are not imported for them."""

from __future__ import annotations

from build_engines import arguments
from build_engines.plans.command import TARGETS
from build_engines.quantize.calibrate import METHODS
from build_engines.quantize.graphs import JUDGED_FRAMES, QuantizeSettings
from runtime.bundle import MANIFEST
from runtime.manifest import NETWORKS
from runtime.plan_manifest import PLAN_MANIFEST
from runtime.trust.drift import EVERYTHING
from runtime.trust.site import MANIFEST_SIGNATURE, PLAN_SIGNATURE


def test_words_and_numbers_are_those_of_their_modules() -> None:
    assert tuple(TARGETS) == arguments.TARGETS
    assert METHODS == arguments.METHODS
    assert EVERYTHING == arguments.EVERYTHING
    assert (QuantizeSettings(()).frames, JUDGED_FRAMES) == (arguments.FRAMES, arguments.JUDGED_FRAMES)


def test_the_networks_can_be_chosen() -> None:
    for network in NETWORKS:
        call = ["bundle", "--calibration", "set", "--network", network]
        assert arguments.sensitivity_parser().parse_args(call).network == network


def test_sign_names_the_files_that_it_writes() -> None:
    said = arguments.sign_parser().format_help()
    assert all(name in said for name in (MANIFEST, PLAN_MANIFEST, MANIFEST_SIGNATURE, PLAN_SIGNATURE))

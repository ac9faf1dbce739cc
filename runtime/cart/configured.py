"""`parts_of`: a cart's parts as its `cart.toml` names them; each is opened when it is used, and again once lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

from device.cameras.stills import StillSource, open_still
from device.light.calibration import LightCalibration, load_calibration
from device.light.exposure import ExposureTiming
from device.light.link import BoardLink
from device.live import LiveReader, open_source
from device.live.source import shown_source
from runtime.budget import LIVE_BUDGET_MS, Budget
from runtime.bundle import MANIFEST
from runtime.bundles.actions import Means
from runtime.bundles.starts import Program
from runtime.cart.errors import CartError
from runtime.cart.in_use import InUse
from runtime.cart.orders import Ordering
from runtime.cart.parts import FrameReader, LightPart, Parts, account_of
from runtime.cart.sending import sending
from runtime.cart.shots import ShotLighting
from runtime.config import CameraSection, CartConfig
from runtime.config import LightSection as LightTable
from runtime.daemon.whole import DaemonReader
from runtime.dicom.configuration import CartNode as StationFacts
from runtime.dicom.configuration import DicomConfig as DicomSite
from runtime.dicom.configuration import load_dicom_config
from runtime.dicom.worklist import query_worklist
from runtime.errors import BundleError, EngineError
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key
from runtime.exam.rules import ExamRules
from runtime.exam.site_rules import site_rules
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.slots import default_slots
from runtime.trust.keys import read_trusted_keys
from runtime.trust.site import open_site
from runtime.trust.word import sites_word


def program_of(config: CartConfig) -> Program | None:
    """How the cart reads, for the count of its starts; None where a daemon reads, which counts its own."""
    if config.reader == "daemon":
        return None
    bundle, site = config.bundle, config.site
    return Program(
        "runtime.cart",
        bundle.folder,
        bundle.engine,
        bundle.precision,
        site.profile,
        site.trusted_keys,
        config.station,
    )


def parts_of(config: CartConfig, *, send: bool = True, go_back: Callable[[str], bool] = lambda why: False) -> Parts:
    """The parts of a cart. send: whether this program sends too, where no other does.

    go_back: called with the reason where the active bundle does not load or fails its first self-test; makes an
    earlier one the active one where that works, and says whether it did.

    Raises `ScreeningError` for what cannot be right whatever is plugged in: no camera named, keys or profile unusable,
    a bundle that the site refuses.
    """
    camera = _camera(config)
    site = open_site(config.site.profile, config.site.trusted_keys, station=config.station)
    in_use = InUse(site, config.bundle.folder)
    dicom = None if config.site.dicom is None else load_dicom_config(config.site.dicom)
    budget = Budget(total=camera.budget_ms)

    def reader(threshold: float | None) -> FrameReader:
        site, bundle = in_use.site, in_use.bundle
        if config.reader == "daemon":
            return DaemonReader(
                config.daemon_socket,
                bundle,
                word=sites_word(site, bundle, threshold=threshold, budget=budget),
                reject_repeats=camera.still == "",
            )
        return screener_for(
            site,
            bundle,
            engine=config.bundle.engine,
            precision=config.bundle.precision,
            budget=budget,
            reject_repeats=camera.still == "",
            threshold=threshold,
            drift_file=config.journal / "drift.json",
        )

    def open_explainer() -> Screener:
        return screener_for(in_use.site, in_use.bundle, engine="openvino", reject_repeats=False)

    def open_screener(threshold: float | None) -> FrameReader:
        return _proven(in_use, reader, threshold, go_back)

    def rules() -> ExamRules:
        return site_rules(in_use.site, in_use.bundle, required_views=config.exam.views, retakes=config.exam.retakes)

    open_journal = partial(journal_of, config)
    return Parts(
        station=config.station,
        bundles=_means(config),
        after_bundle=RELOAD.format(socket=config.daemon_socket) if config.reader == "daemon" else "",
        ae_title="" if dicom is None else dicom.cart.ae_title,
        open_journal=open_journal,
        open_screener=open_screener,
        open_explainer=open_explainer,
        rules=rules,
        use_bundle=in_use.use,
        bundle_problem=lambda: in_use.problem,
        open_camera=partial(camera_of, config),
        light=light_of(config),
        open_still=partial(still_of, config) if camera.still else None,
        ordering=ordering_of(dicom),
        limits=lambda: in_use.limits,
        station_facts=StationFacts(station=config.station) if dicom is None else dicom.cart,
        archive=dicom is not None and dicom.archive is not None,
        send=sending(open_journal, dicom) if send and dicom is not None and dicom.archive is not None else None,
    )


RELOAD = "ropscreend reads with it once it is told: python -m runtime.daemon reload --socket {socket}"


def journal_of(config: CartConfig) -> Journal:
    """The cart's journal; made where there is none."""
    return Journal.open(config.journal, find_key(config.key_file), create=True, anchors=config.anchors)


def _camera(config: CartConfig) -> CameraSection:
    if config.camera is None:
        raise CartError("cart.toml: camera: no table [camera]; name where frames come from: [camera] source = ...")
    return config.camera


def camera_of(config: CartConfig) -> LiveReader:
    """The cart's camera, opened. Raises `CartError` where none is named, or one that is not live."""
    source = _camera(config).source
    opened = open_source(source)
    if not isinstance(opened, LiveReader):
        opened.close()
        raise CartError(
            f"camera.source: {shown_source(source)} are stored pictures; a cart needs a live camera"
            " (the simulated one is live with `fps`, as in sim:fps=15)"
        )
    return opened


def still_of(config: CartConfig) -> StillSource:
    """The other way by which its stills come, opened."""
    return open_still(_camera(config).still, config.journal / "still.json")


def _means(config: CartConfig) -> Means | None:
    """How bundles are changed here; None where the cart's file names one that is no slot."""
    folder, camera = config.bundle.folder, config.camera
    if folder is not None and (folder / MANIFEST).exists():
        return None
    return Means(
        folder=folder or default_slots(),
        site_profile=config.site.profile,
        trusted_keys=config.site.trusted_keys,
        station=config.station,
        journal=config.journal,
        key_file=config.key_file,
        engine=config.bundle.engine,
        precision=config.bundle.precision,
        budget_ms=LIVE_BUDGET_MS if camera is None or camera.budget_ms is None else camera.budget_ms,
    )


def _proven(
    in_use: InUse,
    reader: Callable[[float | None], FrameReader],
    threshold: float | None,
    go_back: Callable[[str], bool],
) -> FrameReader:
    """The reader, of another bundle where this one does not load; a bundle that once worked here is not given up."""
    try:
        made = reader(threshold)
    except (BundleError, EngineError) as error:
        if in_use.leave(error):
            return reader(threshold)
        if not in_use.proven:
            go_back(str(error))
        raise
    if made.problem and not in_use.proven:
        problem = made.problem
        if in_use.leave(EngineError(problem)):
            made.close()
            return reader(threshold)
        if go_back(problem):
            made.close()
            raise EngineError(problem)  # the desk opens everything anew, with the earlier bundle
    in_use.proven = in_use.proven or not made.problem
    return made


def ordering_of(dicom: DicomSite | None) -> Ordering | None:
    """What asks the site's worklist; None where it names none."""
    if dicom is None or dicom.worklist is None:
        return None
    peer = dicom.worklist
    return lambda: query_worklist(dicom, peer, day=date.today())


def light_of(config: CartConfig) -> LightPart | None:
    """The cart's light board; None where it has none. Raises `CartError`, `TrustError`."""
    table = config.light
    if table is None:
        return None
    if table.port == "simulated":
        raise CartError("light.port: simulated boards are the demonstration's: python -m runtime.cart demo")
    if table.calibration is None:
        raise CartError("light.calibration: none named; a real light needs its board's signed calibration file")
    keys_folder = table.trusted_keys or config.site.trusted_keys
    if keys_folder is None:
        raise CartError("light.trusted_keys: none named; name the folder of the laboratory's public key (*.pem)")
    calibration_file, keys = table.calibration, read_trusted_keys(keys_folder)

    def calibration(link: BoardLink) -> LightCalibration:
        return load_calibration(calibration_file, board_id=link.board_id, trusted_keys=keys.keys)

    return LightPart(
        open_link=lambda: BoardLink(table.port, protocol=table.protocol),
        open_account=lambda: account_of(config.journal, config.key_file, config.anchors),
        calibration=calibration,
        preview_level=table.led_level or 0,
        flash=_flash(table),
    )


def _flash(table: LightTable) -> ShotLighting | None:
    if table.flash_us is None:
        return None
    if table.flash_level is None or table.timing is None:
        raise CartError("light: a flash needs flash_level and [light.timing]; set them, or leave flash_us out")
    timing = table.timing
    return ShotLighting(
        table.flash_us,
        table.flash_level,
        ExposureTiming(timing.exposure_ms, timing.stamped_after_ms, timing.uncertainty_ms),
    )

"""Every part of the demonstration's cart, simulated, and what it keeps in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from device.cameras.simulated.lit import EXPOSURE_MS
from device.light.calibration import Hazard, LightCalibration, RatePoint
from device.light.exposure import ExposureTiming
from device.light.link import BoardLink
from device.light.simulated import SIMULATED_CEILINGS, SimulatedBoard
from device.live import LiveReader
from runtime.budget import Budget
from runtime.bundle import open_bundle
from runtime.cart.alone import alone
from runtime.cart.demo.camera import Pose, PosedCamera
from runtime.cart.orders import Ordering
from runtime.cart.parts import LightPart, Parts, account_of
from runtime.cart.sending import sending
from runtime.cart.shots import ShotLighting
from runtime.cart.users import User, new_user
from runtime.dicom.configuration import DicomConfig as DicomSite
from runtime.dicom.trial import ARCHIVE_AE, CART_AE, Hospital
from runtime.dicom.worklist import query_worklist
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key, write_new_key
from runtime.exam.light import LightJournal
from runtime.exam.site_rules import site_rules
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.site import Site

STATION = "DEMO"
FLASH_US, FLASH_LEVEL, AIM_LEVEL = 8000, 3000, 800
BUDGET_MS = 2000.0
USER, SHOWN, PIN = "demo", "Demonstration", "2468"
CLINICIAN, TECHNICIAN = "demo-doctor", "demo-service"
HINT = f"Demonstration: user {USER} (shown as {SHOWN}), PIN {PIN}. Infants, camera, light and archive are simulated."


def demonstration_users() -> tuple[User, ...]:
    """One of each role, all with the same PIN."""
    return (
        new_user(USER, SHOWN, PIN, "operator"),
        new_user(CLINICIAN, "Ophthalmologist", PIN, "clinician"),
        new_user(TECHNICIAN, "Technician", PIN, "technician"),
    )


@dataclass(eq=False)
class Demonstration:
    """The simulated parts, and the handles by which a demonstration or a test plays with them."""

    parts: Parts
    board: SimulatedBoard
    hospital: Hospital
    pose: Pose


@contextmanager
def demonstration(folder: Path, *, seed: int = 1, size: tuple[int, int] = (640, 480)) -> Iterator[Demonstration]:
    """The parts of a cart that needs nothing else installed. folder: for journal and key, made where it is missing."""
    with alone(folder, f"--folder {folder}"):
        yield from _demonstration(folder, seed, size)


def _demonstration(folder: Path, seed: int, size: tuple[int, int]) -> Iterator[Demonstration]:
    key_file = folder / "journal.key"
    if not key_file.exists():
        write_new_key(key_file)
    journal_folder = folder / "journal"
    site, bundle, pose = Site(), open_bundle(), Pose(seed)
    hospital = Hospital(date.today())
    node = {"ae_title": ARCHIVE_AE, "host": "127.0.0.1", "port": hospital.port}
    dicom = DicomSite.model_validate(
        {
            "schema": "rop.dicom/1",
            "cart": {"ae_title": CART_AE, "station": STATION, "manufacturer": "Simulated", "model": "Demonstration"},
            "archive": {**node, "commitment_s": 20},
            "worklist": node,
            "mpps": node,
        }
    )

    def open_journal() -> Journal:
        return Journal.open(journal_folder, find_key(key_file), create=True)

    def open_account() -> LightJournal:
        return account_of(journal_folder, key_file)

    def open_screener(threshold: float | None) -> Screener:
        budget = Budget(total=BUDGET_MS)
        return screener_for(site, bundle, budget=budget, reject_repeats=True, threshold=threshold)

    with SimulatedBoard() as board:

        def open_camera() -> LiveReader:
            return LiveReader(lambda: PosedCamera(board, pose, size=size), "simulated camera")

        light = LightPart(
            open_link=lambda: BoardLink(board.port),
            open_account=open_account,
            calibration=lambda link: demonstration_calibration(link.board_id),
            preview_level=AIM_LEVEL,
            flash=ShotLighting(
                FLASH_US, FLASH_LEVEL, ExposureTiming(exposure_ms=EXPOSURE_MS), SIMULATED_CEILINGS.recharge_ms
            ),
        )
        parts = Parts(
            station=STATION,
            ae_title=CART_AE,
            station_facts=dicom.cart,
            open_journal=open_journal,
            open_screener=open_screener,
            rules=lambda: site_rules(site, bundle),
            open_camera=open_camera,
            light=light,
            ordering=_ordering(dicom),
            send=sending(open_journal, dicom),
            aimed=pose.aimed,
            taken=pose.taken,
            opened=pose.next_infant,
            sign_in_hint=HINT,
        )
        try:
            yield Demonstration(parts, board, hospital, pose)
        finally:
            hospital.close()


def _ordering(dicom: DicomSite) -> Ordering:
    assert dicom.worklist is not None
    peer = dicom.worklist
    return lambda: query_worklist(dicom, peer, day=date.today())


def demonstration_calibration(board_id: int) -> LightCalibration:
    """Round numbers for a light that does not exist; they follow from no standard and are for no real board."""
    points = tuple(RatePoint(level=level, per_second=level / 1000) for level in (500, 1000, 2000, 4000))
    hazard = Hazard(
        name="retinal exposure (simulated)",
        unit="J/cm2",
        clause="demonstration, no standard",
        limit=600.0,
        window_s=24 * 3600,
        led=points,
        flash=tuple(RatePoint(level=point.level, per_second=point.per_second * 20) for point in points),
    )
    today = date.today()
    return LightCalibration(
        schema="rop.light-calibration/1",
        board_id=board_id,
        laboratory="none: simulated",
        traceable_to="nothing",
        issued=today - timedelta(days=1),
        expires=today + timedelta(days=365),
        hazards=(hazard,),
    )

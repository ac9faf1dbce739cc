"""`FlashLitCamera`: the simulated camera in the light of a simulated board of this process."""

from __future__ import annotations

from device.cameras.simulated import SimulatedConfig
from device.cameras.simulated.lit import LitCamera
from device.light.simulated import SimulatedBoard


class FlashLitCamera(LitCamera):
    """`LitCamera` by a board; its frames come quicker, and their exposures are shorter."""

    def __init__(
        self,
        board: SimulatedBoard,
        config: SimulatedConfig = SimulatedConfig(size=(160, 120), fps=30),  # noqa: B008 (frozen)
        *,
        exposure_ms: float = 20.0,
        latency_ms: float = 5.0,
        stamped_after_ms: float = 0.0,
    ) -> None:
        super().__init__(
            lambda: board.lamp,
            config,
            exposure_ms=exposure_ms,
            latency_ms=latency_ms,
            stamped_after_ms=stamped_after_ms,
            name=f"{config} with flash",
        )

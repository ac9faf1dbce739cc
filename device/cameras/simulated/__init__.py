"""The simulated neonatal fundus camera: drawn retinas with their truth, for tests, demonstrations and benchmarks."""

from device.cameras.simulated.camera import SimulatedCamera
from device.cameras.simulated.config import SimulatedConfig

__all__ = ["SimulatedCamera", "SimulatedConfig"]

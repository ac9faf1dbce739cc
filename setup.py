"""What setup.cfg cannot say: the compiled parts, which may be left out where there is no compiler."""

from pathlib import Path
from runpy import run_path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
sources_digest = run_path(str(ROOT / "device/compiled.py"))["sources_digest"]


def made_of(folder: str) -> list[tuple[str, str | None]]:
    """For the C file that is Python's door: which sources lie in its folder, for `device.compiled.of_these_sources`."""
    return [("ROP_SOURCES", f'"{sources_digest(ROOT / folder)}"')]


# Two parts are made of sources in one folder, by all of which each of them is known.
CODECS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "device/cameras/codecs").glob("*.[ch]"))

setup(
    ext_modules=[
        Extension(
            "device._yuv",
            ["device/yuv.c"],
            define_macros=made_of("device"),
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # device/pixels.py gives the same numbers
        ),
        Extension(
            "device.cameras.codecs._scans",
            ["device/cameras/codecs/scans.c"],
            depends=CODECS,
            define_macros=made_of("device/cameras/codecs"),
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # device/cameras/codecs/progressive.py asks libjpeg then
        ),
        Extension(
            "device.cameras.codecs._looks",
            [f"device/cameras/codecs/{name}.c" for name in ("looks", "seams", "further")],
            depends=CODECS,
            define_macros=made_of("device/cameras/codecs"),
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # seams.py and further.py see the same
        ),
        Extension(
            "runtime.preprocess._kernel",
            ["runtime/preprocess/kernel.c", "runtime/preprocess/resize.c"],
            depends=["runtime/preprocess/resize.h"],
            define_macros=made_of("runtime/preprocess"),
            # Without contraction no two operations become one, by which the last bit of a weight would be another.
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden", "-ffp-contract=off"],
            optional=True,  # runtime/preprocess/plain.py gives the same numbers
        ),
        Extension(
            "runtime.gate._kernel",
            [f"runtime/gate/{name}.c" for name in ("kernel", "quality", "structure", "picture", "room")],
            depends=["runtime/gate/gate.h", "runtime/gate/squares.h"],
            define_macros=made_of("runtime/gate"),
            # Without contraction no two operations become one, whose last bit would be another. Python's own -fwrapv
            # keeps loops from being made vectors of: 0.95 ms in place of 0.6.
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden", "-ffp-contract=off", "-fno-wrapv"],
            optional=True,  # runtime/gate/plain.py gives the same numbers
        ),
        Extension(
            "runtime.daemon._shared",
            ["runtime/daemon/shared.c"],
            define_macros=made_of("runtime/daemon"),
            extra_compile_args=["-O2", "-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden"],
            optional=True,  # without it no ring lies in reserved huge pages
        ),
    ]
)

"""What setup.cfg cannot say: the compiled parts, which may be left out where there is no compiler."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "device._yuv",
            ["device/yuv.c"],
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # device/pixels.py gives the same numbers
        ),
        Extension(
            "device.cameras.codecs._scans",
            ["device/cameras/codecs/scans.c"],
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # device/cameras/codecs/progressive.py asks libjpeg then
        ),
        Extension(
            "runtime.preprocess._kernel",
            ["runtime/preprocess/kernel.c", "runtime/preprocess/resize.c"],
            depends=["runtime/preprocess/resize.h"],
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # runtime/preprocess/plain.py gives the same numbers
        ),
        Extension(
            "runtime.gate._kernel",
            [f"runtime/gate/{name}.c" for name in ("kernel", "quality", "structure", "picture", "room")],
            depends=["runtime/gate/gate.h", "runtime/gate/squares.h"],
            # Without contraction no two operations become one, whose last bit would be another. Python's own -fwrapv
            # keeps loops from being made vectors of: 0.95 ms in place of 0.6.
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden", "-ffp-contract=off", "-fno-wrapv"],
            optional=True,  # runtime/gate/plain.py gives the same numbers
        ),
        Extension(
            "runtime.daemon._shared",
            ["runtime/daemon/shared.c"],
            extra_compile_args=["-O2", "-std=c11", "-D_GNU_SOURCE", "-fvisibility=hidden"],
            optional=True,  # without it no ring lies in reserved huge pages
        ),
    ]
)

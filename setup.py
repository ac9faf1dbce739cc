"""What setup.cfg cannot say: the compiled resize and YUV, which may be left out where there is no compiler."""

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
            "runtime.preprocess._kernel",
            ["runtime/preprocess/kernel.c", "runtime/preprocess/resize.c"],
            depends=["runtime/preprocess/resize.h"],
            extra_compile_args=["-O3", "-std=c11", "-fvisibility=hidden"],
            optional=True,  # runtime/preprocess/plain.py gives the same numbers
        ),
    ]
)

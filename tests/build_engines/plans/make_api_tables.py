"""Make the tables of names in `api/` from NVIDIA's own Python bindings, without a GPU and without TensorRT itself.

    python tests/build_engines/plans/make_api_tables.py [--versions 10.3 11.4]

The bindings come from PyPI (1 MB each). Their extension module is loaded over a stub that only holds the few symbols
it links against, so that Python can list its classes; nothing of TensorRT ever runs. Needs pip, gcc and nm, on Linux
with glibc, x86-64, under CPython 3.8 to 3.11 (what the wheel of 8.6 was made for).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGES = {
    "8.6": "tensorrt-bindings==8.6.1",
    "10.3": "tensorrt-cu12-bindings==10.3.0",
    "10.13": "tensorrt-cu12-bindings==10.13.3.9",
    "10.16": "tensorrt-cu12-bindings==10.16.1.11",
    "11.4": "tensorrt-cu13-bindings==11.4.0.106",
    "rtx1.7": "tensorrt-rtx-cu13-bindings==1.7.1.116",
}
FOLDER = Path(__file__).parent / "api"
LIST_NAMES = """
import importlib.util, json, os, sys
sys.setdlopenflags(os.RTLD_LAZY | os.RTLD_GLOBAL)
path, name = sys.argv[1:]
spec = importlib.util.spec_from_file_location(name, path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
table = {"": sorted(n for n in vars(module) if not n.startswith("_"))}
for cls in sorted((c for c in vars(module).values() if isinstance(c, type)), key=lambda c: c.__name__):
    theirs = [c for c in cls.__mro__ if c.__module__ != "builtins" and not c.__name__.startswith("pybind11")]
    own = {n for c in theirs for n in vars(c)}
    table[cls.__name__] = sorted(n for n in own if not n.startswith("_"))
print(json.dumps(table))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    for version in parser.parse_args().versions:
        with tempfile.TemporaryDirectory() as folder:
            table = names(PACKAGES[version], Path(folder))
        # A class a line: a new version then shows in a diff what it brought and what it took away.
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(members)}" for name, members in table.items())
        (FOLDER / f"{version}.json").write_text(f'{{"package": "{PACKAGES[version]}", "names": {{\n{lines}\n}}}}\n')
        sys.stdout.write(f"{version}: {len(table) - 1} classes\n")
    return 0


def names(package: str, folder: Path) -> dict[str, list[str]]:
    """Public names of the module (under "") and of each of its classes, inherited ones with them."""
    download = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), package]
    subprocess.run([sys.executable, "-m", "pip", *download], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    extension = next(folder.glob("tensorrt*_bindings/tensorrt*.so"))
    stub(extension, folder)
    command = [sys.executable, "-c", LIST_NAMES, str(extension), extension.stem]
    environment = {"LD_LIBRARY_PATH": str(folder)}
    listed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    table: dict[str, list[str]] = json.loads(listed)
    # What the package's __init__ defines above the extension module.
    source = extension.with_name("__init__.py").read_text()
    added = re.findall(r"^(?:def (\w+)|([A-Za-z]\w*) = )", source, re.MULTILINE)
    table[""] = sorted({*table[""], *(name for a, b in added if not (name := a or b).startswith("_"))})
    for cls, name in re.findall(r"^(\w+)\.([A-Za-z]\w*) = ", source, re.MULTILINE):
        table[cls] = sorted({*table[cls], name})
    return table


def stub(extension: Path, folder: Path) -> None:
    """Stand-ins for NVIDIA's libraries: each holds every symbol that the extension wants and that nobody else has."""
    wanted = subprocess.run(
        ["nm", "-D", "--undefined-only", str(extension)], check=True, capture_output=True, text=True
    )
    symbols = [line.split()[-1] for line in wanted.stdout.splitlines()]
    ours = [name for name in symbols if re.match(r"(create|get|init)[A-Z]\w*$|_ZN\d+nv", name)]
    source = folder / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in ours))
    needed = subprocess.run(["readelf", "-d", str(extension)], check=True, capture_output=True, text=True)
    for library in re.findall(r"\[(lib(?:nv|tensorrt)\S+)\]", needed.stdout):
        command = ["gcc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", str(folder / library), str(source)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())

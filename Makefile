# Two commands do everything: `make run` and `make test`. Both set up what they need in .venv, of pinned packages.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)-tools
INSTALL = $(PYTHON) constraints/install.py
PINS := setup.cfg setup.py device/compiled.py pyproject.toml constraints/install.py constraints/unused.list runtime/preprocess/kernel.c \
	runtime/preprocess/resize.c runtime/preprocess/resize.h device/yuv.c runtime/daemon/shared.c \
	$(wildcard device/cameras/codecs/*.[ch] runtime/gate/*.[ch])

.PHONY: run cart jetson test test-cart test-fleet test-floors test-latest test-soak test-gpu check build-tools \
	constraints wheelhouse wheelhouse-jetson dist deb python-is-right clean

# The demonstration is installed in slots of its own, as a cart's bundle is, and read with from there.
run: export ROP_BUNDLES := $(VENV)/bundles
run: $(VENV)/.cart
	$(BIN)/python -m runtime.bundles install --demonstration --activate
	$(BIN)/python -m runtime.screen sim:seed=1,frames_per_eye=4,faults=0.1 --frames 40 --out out

# The cart on simulated parts, in this machine's browser.
cart: $(VENV)/.cart
	$(BIN)/python -m runtime.cart demo --open

# A cart on a Jetson, or on a workstation with NVIDIA's Debian packages: an environment that sees the system's TensorRT.
jetson: $(VENV)/.jetson
	$(BIN)/python -c 'import tensorrt; print("TensorRT", tensorrt.__version__)'

# The build side's libraries (PyTorch, ModelOpt, TensorRT's builder) and the cart's never share a process in use, so neither
# do they here: the tests are in parts, each in a process of its own, the longest first, and two more at a time than this
# machine has processors, as much of their time is waiting. PARALLEL=1 on a machine with little memory.
PARALLEL ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)
BUILD_SIDE := tests/build_engines tests/calibration
RECORD := tests/runtime/exam tests/runtime/dicom
SERVICE := tests/runtime/daemon tests/runtime/bench tests/runtime/bundles tests/runtime/fleet tests/runtime/reread
DEVICE := tests/device
CART := tests/runtime/cart
PAGES := $(CART)/pages
PLANS := $(addprefix tests/build_engines/,plans native triton export)
PART_plans := $(PLANS)
PART_build := $(BUILD_SIDE) $(PLANS:%=--ignore=%)
PART_cart := $(CART) --ignore=$(PAGES)
PART_pages := $(PAGES)
PART_record := $(RECORD)
PART_service := $(SERVICE)
PART_device := $(DEVICE)
PART_runtime := tests/runtime $(patsubst %,--ignore=%,$(RECORD) $(SERVICE) $(CART))
PART_rest := tests $(patsubst %,--ignore=%,$(BUILD_SIDE) $(DEVICE) tests/runtime)
PARTS := build plans runtime record cart service rest device pages
# Each part starts hundreds of processes, and each would compile our modules anew where bytecode may not be written.
test test-part-% test-cart test-fleet test-floors test-latest test-soak: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.test
	@$(MAKE) --no-print-directory --jobs=$(PARALLEL) --keep-going $(PARTS:%=test-part-%)

# What they write is flushed again and again, and stays in memory where that has room.
test-part-%: $(VENV)/.test
	TMPDIR=$$($(BIN)/python tests/in_memory.py) $(BIN)/python -m pytest $(PART_$*)

# The cart's half in an environment that holds what a cart has and nothing of the build side.
test-cart: $(VENV)-cart/.test-cart
	$(VENV)-cart/bin/python -m pytest -m 'not soak and not slow' $(BUILD_SIDE:%=--ignore=%) --ignore=tests/gpu

# Re-reading on a real Ray cluster of two nodes, in processes of this machine.
test-fleet: $(VENV)-fleet/.fleet
	$(VENV)-fleet/bin/python -m pytest -m soak -rs tests/runtime/reread/test_cluster.py

# The oldest packages that setup.cfg allows, and the newest that there are; a quick look at what rests on them.
QUICK := tests/runtime/preprocess tests/runtime/test_screener.py tests/runtime/test_quality.py \
	tests/runtime/test_demonstration.py tests/runtime/engines tests/runtime/sinks tests/device/cameras/test_pictures.py
test-floors: $(VENV)-floors/.floors
	$(VENV)-floors/bin/python -m pytest -m 'not soak and not slow' $(QUICK)

test-latest: $(VENV)-latest/.latest
	$(VENV)-latest/bin/python -m pytest $(BUILD_SIDE)
	$(VENV)-latest/bin/python -m pytest $(BUILD_SIDE:%=--ignore=%)

# What takes long, and Hypothesis on other examples each time; `make test` has the same ones each time.
test-soak: $(VENV)/.test
	$(BIN)/python -m pytest -m 'soak or hypothesis' --hypothesis-profile=free

# Needs an NVIDIA GPU and TensorRT. GPU_PYTHON names an interpreter that has them, where .venv cannot.
GPU_PYTHON ?= $(BIN)/python
test-gpu: $(if $(filter $(BIN)/python,$(GPU_PYTHON)),$(VENV)/.test)
	$(GPU_PYTHON) -m pytest -m 'gpu and not soak' tests/gpu tests/build_engines/plans/test_on_gpu.py

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

build-tools: $(VENV)/.build

# What a cart of this processor and this Python needs, for one without internet: docs/offline.md.
wheelhouse: $(TOOLS)/.release
	rm -rf wheelhouse
	$(TOOLS)/bin/python -m pip download --quiet --no-deps --require-hashes --only-binary=:all: \
		--requirement constraints/cart.txt --dest wheelhouse
	PIP_CONSTRAINT=constraints/all.txt PIP_BUILD_CONSTRAINT=constraints/all.txt \
		$(TOOLS)/bin/python -m pip wheel --quiet --no-deps --wheel-dir wheelhouse .
	cp constraints/cart.txt wheelhouse/

# The same for a Jetson, packed on any machine: PYTHON is JetPack's (6: python3.10, 7: python3.12). This software goes along as
# source, with what builds it there.
JETSON := $(foreach glibc,17 24 27 28 31 34 35,--platform manylinux_2_$(glibc)_aarch64) --platform manylinux2014_aarch64
wheelhouse-jetson: $(TOOLS)/.release
	rm -rf wheelhouse-jetson
	$(TOOLS)/bin/python -m pip download --quiet --no-deps --require-hashes --only-binary=:all: $(JETSON) \
		--requirement constraints/cart-tensorrt.txt --dest wheelhouse-jetson
	$(TOOLS)/bin/python -m pip download --quiet --no-deps --only-binary=:all: --constraint constraints/all.txt \
		--dest wheelhouse-jetson setuptools
	PIP_CONSTRAINT=constraints/all.txt PIP_BUILD_CONSTRAINT=constraints/all.txt \
		$(TOOLS)/bin/python -m build --sdist --outdir wheelhouse-jetson .
	cp constraints/cart-tensorrt.txt wheelhouse-jetson/

# What is given away: the source, a wheel for this processor and this Python, and the list of a cart's parts (CycloneDX).
dist: $(TOOLS)/.release
	rm -rf dist
	PIP_CONSTRAINT=constraints/all.txt PIP_BUILD_CONSTRAINT=constraints/all.txt \
		$(TOOLS)/bin/python -m build --outdir dist .
	$(TOOLS)/bin/python -m cyclonedx_py requirements --output-reproducible --output-file dist/cart.cdx.json \
		constraints/cart.txt
	$(TOOLS)/bin/python -m twine check --strict dist/*.whl dist/*.tar.gz

# Debian packages of the C library, the GStreamer element and the daemon: packaging/README.md.
deb:
	packaging/deb build/deb

# Writes the pins anew from setup.cfg and constraints/*.in; what still fits stays. UPGRADE=1 takes the newest of all.
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --universal --python-version 3.10 --no-emit-index-url --no-annotate \
	--custom-compile-command 'make constraints' --override constraints/left-out.in setup.cfg
constraints: $(TOOLS)/.release
	$(COMPILE) $(if $(UPGRADE),--upgrade) --all-extras --constraint constraints/pins.in --output-file constraints/all.txt
	$(COMPILE) --upgrade --generate-hashes --extra cart --extra cart \
		--constraint constraints/all.txt --output-file constraints/cart.txt
	$(COMPILE) --upgrade --generate-hashes --extra cart --extra cart --extra tensorrt \
		--constraint constraints/all.txt --override constraints/no-openvino.in --output-file constraints/cart-tensorrt.txt
	$(COMPILE) --upgrade --resolution lowest-direct --extra test --output-file constraints/floors.txt

# Each stamp file stands for one recipe of constraints/install.py. The cart's is what a cart needs: no torch, no onnx.
$(VENV)/.cart: $(wildcard constraints/cart.txt)
$(VENV)/.jetson: $(wildcard constraints/cart-tensorrt.txt)
$(VENV)/.build $(VENV)/.test $(VENV)-fleet/.fleet $(TOOLS)/.release: $(wildcard constraints/all.txt)
$(VENV)-cart/.test-cart: $(wildcard constraints/cart.txt constraints/all.txt)
$(VENV)-floors/.floors: $(wildcard constraints/floors.txt)

$(VENV)/.cart $(VENV)/.jetson $(VENV)/.build $(VENV)/.test $(VENV)-cart/.test-cart $(VENV)-fleet/.fleet $(VENV)-floors/.floors \
$(VENV)-latest/.latest $(TOOLS)/.release: $(PINS) | python-is-right
	@echo "setting up $(@D): once, and again when the pins change"
	@$(INSTALL) $(patsubst .%,%,$(@F)) --venv $(@D)
	@touch $@

# An environment of another Python than the one asked for is refused, also when nothing is to be installed.
python-is-right:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and (sys.stderr.write("Python 3.10 or newer is needed, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.11\n"), 2)[1])'
ifneq ($(origin PYTHON),file)
	@$(INSTALL) fits --venv $(VENV)
endif

clean:
	rm -rf $(VENV) $(VENV)-* out build dist wheelhouse wheelhouse-jetson *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

#!/usr/bin/env bash
# Fifteen minutes on a GPU: what is worth the most first, each piece with its own limit, at the end a table.
#
#     bash tests/gpu/slot.sh OUT [BUNDLE]          in the checkout's folder; PYTHON names another Python than .venv's
#
# OUT gets a log of each piece, the reports, and table.md, which is printed at the end, also when the time is up or the
# script is stopped. A piece for which too little of SLOT_S (840: start and transfers take the rest) is left is skipped. The
# bundle is copied and gets its plans there. Nothing is installed, and the GPU's settings are left as they are.
# Exit code: 0 every piece passed, 1 one failed or was skipped, 2 the call is wrong.
set -u

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: bash tests/gpu/slot.sh OUT [BUNDLE]" >&2
    exit 2
fi
if ! mkdir -p "$1"; then
    echo "slot: $1 cannot be made a folder; name another one" >&2
    exit 2
fi
out=$(cd "$1" && pwd)
bundle=${2:-runtime/bundles/demonstration}
if [ ! -f "$bundle/manifest.json" ]; then
    echo "slot: $bundle is no bundle; run this in the checkout's folder, or name a bundle" >&2
    exit 2
fi
python=${PYTHON:-.venv/bin/python}
slot_s=${SLOT_S:-840}
began=$(date +%s)
failed=0
table=$out/table.md
export PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$PWD
export ROP_GPU_BUNDLES=$out/bundle

left() { echo $((slot_s - ($(date +%s) - began))); }

row() { printf '| %s | %s | %s |\n' "$1" "$2" "$3" >> "$table"; }

# piece NAME LIMIT_S COMMAND...: run it within its limit; its last line stands in the table.
piece() {
    local name=$1 limit=$2 log code from said
    shift 2
    log=$out/$(printf '%s' "$name" | tr -c 'a-z0-9\n' '_').log
    if [ "$(left)" -lt $((limit / 2)) ]; then
        row "$name" "-" "skipped: $(left) s were left, at most $limit s are meant for it"
        failed=1
        return 1
    fi
    [ "$(left)" -lt "$limit" ] && limit=$(left)
    echo "slot: $name (at most $limit s, $(left) s left)" >&2
    from=$(date +%s)
    timeout -k 5 "$limit" "$@" > "$log" 2>&1
    code=$?
    said=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | tr '|' '/' | cut -c 1-160)
    if [ $code -eq 0 ] && printf '%s' "$said" | grep -q ' skipped' && ! printf '%s' "$said" | grep -q ' passed'; then
        code=3 # pytest is content when every test was skipped; a slot is not
    fi
    case $code in
        3) said="nothing ran: $said" ;;
        0) said="passed: $said" ;;
        124 | 137) said="ended by its limit of $limit s: $said" ;;
        *) said="failed (exit code $code): $said" ;;
    esac
    row "$name" "$(($(date +%s) - from)) s" "$said"
    [ $code -eq 0 ] || failed=1
    return $code
}

# bench NAME PRECISION [OPTION...]: a short run, and its p50 and p99 as a row.
bench() {
    local name=$1 precision=$2
    shift 2
    piece "$name" 60 "$python" -m runtime.bench --bundle "$out/bundle" --engine "$engine" --precision "$precision" \
        --frames 1000 --warmup 200 --no-cold-start --json "$out/$engine-$precision.json" "$@"
    [ -f "$out/$engine-$precision.json" ] || return
    row "$name" "-" "$("$python" - "$out/$engine-$precision.json" << 'FIGURES'
import json
import sys

report = json.load(open(sys.argv[1], encoding="utf-8"))
told = [f"{report['verdict']}"]
for name in ("total", "segment", "classify", "upload", "gpu_compute", "download"):
    row = report["rows"].get(name)
    if row is not None:
        p99 = "n too small" if row["p99"] is None else f"{row['p99']:.3f}"
        told.append(f"{name} p50 {row['p50']:.3f} p99 {p99} ms" if row["p50"] else f"{name} n {row['n']}")
print("; ".join(told))
FIGURES
)"
}

finish() {
    row "whole" "$(($(date +%s) - began)) s" "$([ $failed -eq 0 ] && echo 'every piece passed' || echo 'not every piece passed')"
    cat "$table"
    exit $failed
}
trap finish EXIT
trap 'failed=1; exit 1' INT TERM

{
    echo
    echo "## A slot on a GPU, $(date -u +%Y-%m-%d)"
    echo
    echo "Command: \`bash tests/gpu/slot.sh OUT $bundle\`. $(nvidia-smi --query-gpu=name,driver_version,memory.total \
        --format=csv,noheader 2> /dev/null | head -n 1 || true)"
    echo
    echo "| piece | took | result |"
    echo "|---|---|---|"
} > "$table"

rm -rf "$out/bundle" && cp -r "$bundle" "$out/bundle" || exit 1

# CUDA by itself. When it fails, nothing else counts.
piece "cuda" 90 "$python" -m pytest -m gpu -q -p no:cacheprovider --no-header tests/gpu/test_cuda.py || exit 1

engine=tensorrt library=trt
"$python" -c 'import tensorrt' 2> /dev/null || { engine=tensorrt-rtx library=rtx; }
target=(--target "$engine")

# One precision to its end before the next: a figure with its parity is worth more than three plans without.
piece "plan fp16" 240 "$python" -m build_engines "$out/bundle" "${target[@]}" --precision fp16 && bench "fp16" fp16
piece "results beside the cpu" 150 "$python" -m pytest -m "gpu and not soak" -q -p no:cacheprovider --no-header tests/gpu/test_on_gpu.py
piece "plan int8" 180 "$python" -m build_engines "$out/bundle" "${target[@]}" --precision int8 && bench "int8" int8
piece "ways" 120 "$python" tests/bench/gpu.py --bundle "$out/bundle" --library $library --frames 1000 --idle 10
piece "plan fp32" 120 "$python" -m build_engines "$out/bundle" "${target[@]}" --precision fp32 &&
    piece "default" 90 "$python" -m build_engines report "$out/bundle" --measure --engine "$engine" --out "$out/report"
bench "layers" fp16 --layers
exit

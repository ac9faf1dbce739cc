"""The command lines of `python -m build_engines`: parsed before anything heavy is imported.

What they quote of other modules (methods, targets, file names) is held to those by a test.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version

TARGETS = ("tensorrt", "tensorrt-rtx", "torch-tensorrt")
METHODS = ("max", "entropy")
SERVER_BACKENDS = ("tensorrt", "onnxruntime", "openvino", "python")
FRAMES, JUDGED_FRAMES = 64, 16
GRADABLE_SHARE = 0.7
"""What is expected of a camera in use, until a site knows better: pictures of a data set were chosen by people."""
EVERYTHING = "all"
_SIGNING = """\
a key pair, made by OpenSSL (keep KEY.pem where nobody else can read it):
  openssl genpkey -algorithm ed25519 -out KEY.pem
  openssl pkey -in KEY.pem -pubout -out NAME.pem

A cart trusts the public keys in one folder, each named for its owner (--trusted-keys DIR, or ROP_TRUSTED_KEYS).

examples:
  python -m build_engines sign BUNDLE --key maker.pem
  python -m build_engines sign BUNDLE --key maker.pem --issue 5
  python -m build_engines sign BUNDLE/plans/sm87-trt10.3.0-int8 --key site.pem
  python -m build_engines sign profile.json --key site.pem --out profile.signed
  python -m build_engines sign withdrawn.json --key site.pem --out keys/withdrawn.signed

exit codes: 0 signed; 2 the call is wrong, or key or input cannot be used
"""


def build_parser() -> argparse.ArgumentParser:
    """Of building a bundle."""
    parser = CommandParser(
        prog="python -m build_engines",
        description="Build a bundle from a SegImgNet checkpoint, or lower precisions from the fp32 graphs of a bundle: "
        "export both networks, check the graphs against the checkpoint, quantize, hold every precision against fp32, "
        "write manifest and hashes. Other programs: describe, evaluate, familiar, ir, report, sensitivity, sign, "
        "triton, trust, vectors, and --target for TensorRT plans.",
        epilog="exit codes: 0 built; 1 graphs and checkpoint do not agree; 2 the call or the input is unusable",
    )
    add_version(parser)
    parser.add_argument(
        "source",
        type=Path,
        metavar="CHECKPOINT|BUNDLE",
        help="state_dict with the published key names (.pkl, .pth, .pt), or a bundle whose fp32 graphs are kept",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="folder to write or to replace")
    parser.add_argument(
        "--description",
        type=Path,
        metavar="JSON",
        help="classes, threshold, intended use, data and figures (default: the file beside the checkpoint with the "
        "suffix .json; without one, numbered classes)",
    )
    parser.add_argument(
        "--check-images",
        type=Path,
        metavar="DIR",
        help="pictures on which graphs and checkpoint must agree (default: frames of the simulated camera)",
    )
    parser.add_argument("--check-count", type=int, default=8, metavar="N", help="how many of them (default: 8)")
    parser.add_argument(
        "--batch", choices=("1", "dynamic"), default="1", help="batch of the graphs (default: 1, the fastest on a cart)"
    )
    low = parser.add_argument_group("lower precisions")
    low.add_argument(
        "--precision", default="fp32", metavar="LIST", help="of fp32, fp16, int8, with commas (default: fp32 alone)"
    )
    low.add_argument("--calibration", type=Path, metavar="SET", help="for int8: python -m calibration create")
    low.add_argument(
        "--calibration-frames", type=int, default=64, metavar="N", help="how many of its frames (default: 64)"
    )
    low.add_argument(
        "--method",
        choices=("auto", "max", "entropy"),
        default="auto",
        help="how INT8 ranges are found (default: auto, for each network the one that stays nearer to fp32)",
    )
    low.add_argument(
        "--max-drop",
        type=float,
        metavar="X",
        help="keep blocks out of INT8, the worst first, until 1 - Dice against fp32's vessel map and the mean "
        "difference in probability are both within X on the set's frames",
    )
    low.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="labelled frames for the parity report: the folder of the public data sets, or a CSV file with image, and "
        "mask or refer (default: the simulated camera)",
    )
    low.add_argument(
        "--held-out",
        action="store_true",
        help="say that the frames of --data CSV took no part in training; without it they are not called held out",
    )
    return parser


def plans_parser() -> argparse.ArgumentParser:
    """Of building plans, `--target`."""
    parser = CommandParser(
        prog="python -m build_engines",
        description="Build a bundle's plans for NVIDIA GPUs and write them into the bundle. A plan holds for one GPU "
        "architecture and one version of the library, so it is built on the machine that will run it; those of "
        "TensorRT-RTX (workstations) can be built anywhere, for the architectures that --arch names.",
        epilog="exit codes: 0 built; 1 TensorRT refuses a graph, or graphs and checkpoint do not agree; 2 the call or "
        "the input is unusable, or this machine cannot build",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle's folder; the plans go to its plans/")
    parser.add_argument(
        "--target",
        required=True,
        choices=TARGETS,
        help="tensorrt and tensorrt-rtx go through the bundle's graphs, torch-tensorrt through the PyTorch networks",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="P[,P...]",
        help="fp32, fp16, int8, two with a plus for segmentation and classifier (int8+fp16), or auto: what the bundle "
        "names for the target (default: auto)",
    )
    parser.add_argument(
        "--arch",
        metavar="SM[,SM...]",
        help="sm86,sm89,...: build for these GPUs instead of the one here (tensorrt-rtx)",
    )
    parser.add_argument(
        "--level", type=int, default=3, choices=range(6), help="builder optimisation level, 0 to 5 (default: 3)"
    )
    parser.add_argument(
        "--workspace",
        type=int,
        metavar="MIB",
        help="most scratch memory a kernel may take (default: no limit; on a Jetson half of the memory that is free)",
    )
    parser.add_argument(
        "--tactics",
        default="default",
        choices=("default", "own"),
        help="own: no cuBLAS and no cuDNN, for TensorRT 8.6 and 10 where these are missing",
    )
    parser.add_argument(
        "--parts",
        action="store_true",
        help="also build the classifier in two parts, of which one may run beside the segmentation; the runtime "
        "measures both ways when it starts and keeps the faster",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="the bundle's checkpoint (torch-tensorrt, which has no graph)"
    )
    parser.add_argument("--json", action="store_true", help="write each plan's manifest to standard output, one a line")
    return parser


def report_parser() -> argparse.ArgumentParser:
    """Of `report`."""
    parser = CommandParser(
        prog="python -m build_engines report",
        description="Show what each precision of a bundle keeps and gains against fp32: the report that its build "
        "wrote, or a new one measured on this machine. The bundle is not changed, unless --adopt is given.",
        epilog="exit codes: 0 shown; 1 measured anew, and the bundle's default is out of tolerance; 2 the call or the "
        "input is unusable",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--measure", action="store_true", help="measure on this machine, on simulated frames")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="measure on these frames: the folder of the public data sets, or a CSV file (image, and mask or refer)",
    )
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="say that the frames of --data CSV took no part in training; without it they are not called held out",
    )
    parser.add_argument(
        "--engine",
        choices=("openvino", "tensorrt", "tensorrt-rtx"),
        default="openvino",
        help="measure this backend; a GPU's by the plans that the bundle has for this machine, against fp32 on the CPU "
        "(default: openvino)",
    )
    parser.add_argument(
        "--cpu-class",
        metavar="LIST",
        help="measure for these lesser classes of CPU as well, avx2 and vnni, with OpenVINO held to their kernels",
    )
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="write what was measured into the bundle: report, card, and the default precision for each class of CPU, "
        "or for the GPU's backend",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: OpenVINO's choice)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write parity.json and parity.png here as well")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def evaluate_parser() -> argparse.ArgumentParser:
    """Of `evaluate`."""
    parser = CommandParser(
        prog="python -m build_engines evaluate",
        description="Hold bundles as they are deployed against the truth of a table: sensitivity, specificity and ROC "
        "by frame, eye and infant, operating points, groups, calibration, failures as pictures; two or more readers "
        "paired. RETAKE and NO_RESULT count, never dropped. Writes evaluation.json, .md, .html and pictures.",
        epilog="exit codes: 0 evaluated; 2 the call or the input is unusable. The output holds pictures of infants: "
        "keep it where such may be kept.",
        allow_abbrev=False,
    )
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="compared in pairs where two or more")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="CSV",
        help="columns image (path from the table's folder) and refer (1 or 0); infant, eye, view, device, site, "
        "gestational_age and others are used where they are",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results and pictures go")
    parser.add_argument(
        "--readings",
        action="append",
        default=[],
        metavar="[FOLDER=]FILE",
        help="take stored readings instead of asking the networks; FOLDER: where their pictures lie in the table; "
        "may be repeated",
    )
    parser.add_argument(
        "--precision", default="auto", metavar="LIST", help="one reader each: auto (as deployed), fp32, fp16, int8"
    )
    parser.add_argument("--engine", default="auto", metavar="NAME", help="as of runtime.screen (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: the engine's choice)")
    points = parser.add_argument_group("operating points and groups")
    points.add_argument("--specificity", default="0.8,0.9,0.95", metavar="LIST", help="show sensitivity at these")
    points.add_argument("--sensitivity", default="0.9,0.95", metavar="LIST", help="show specificity at these")
    points.add_argument(
        "--prevalence", default="", metavar="LIST", help="of the population of use, for predictive values"
    )
    points.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="COLUMN[:CUT,CUT]",
        help="part the table by a column; device, site and gestational_age (28, 32 weeks) always are",
    )
    points.add_argument("--choose-on", type=Path, metavar="CSV", help="choose thresholds on this table, and test them")
    points.add_argument(
        "--choose-readings", action="append", default=[], metavar="[FOLDER=]FILE", help="its stored readings"
    )
    seen = parser.add_argument_group("frames that were seen before", "found by hash and by look, and flagged")
    seen.add_argument("--calibration", type=Path, action="append", default=[], metavar="SET", help="a calibration set")
    seen.add_argument(
        "--training",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a table or folder of training frames",
    )
    seen.add_argument(
        "--training-split",
        type=Path,
        action="append",
        default=[],
        metavar="CSV",
        help="a table of which build_engines.train held a part out: the rest",
    )
    seen.add_argument("--held-out-share", type=float, default=0.2, metavar="SHARE", help="of that (default: 0.2)")
    parser.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="of infants, for the bands of curves (default: 1000)"
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=100,
        metavar="N",
        help="at most so many of each list, worst first (default: 100)",
    )
    parser.add_argument("--json", action="store_true", help="print evaluation.json as well")
    add_version(parser)
    return parser


def sensitivity_parser() -> argparse.ArgumentParser:
    """Of `sensitivity`."""
    parser = CommandParser(
        prog="python -m build_engines sensitivity",
        description="Rank the blocks of both networks by what quantizing each alone to INT8 does to the vessel map and "
        "to the probabilities, on frames of a calibration set.",
        epilog="exit codes: 0 done; 2 the call or the input is unusable",
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="any bundle: its fp32 graphs are quantized")
    parser.add_argument("--calibration", type=Path, required=True, metavar="SET", help="python -m calibration create")
    parser.add_argument("--network", choices=("segmentation", "classifier"), help="only this one (default: both)")
    parser.add_argument("--method", choices=METHODS, default="entropy", help="how ranges are found (default: entropy)")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help="frames for the ranges (default: 64)")
    parser.add_argument(
        "--judged", type=int, default=JUDGED_FRAMES, metavar="N", help="frames that each block is judged on (16)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write NETWORK.sensitivity.png and .json here")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    return parser


def describe_parser() -> argparse.ArgumentParser:
    """Of `describe`."""
    parser = CommandParser(
        prog="python -m build_engines describe",
        description="Without PATH: a template of the description that stands beside a checkpoint (fill in what says "
        "REPLACE, and under `stated` what reviewers ask). With a description: check it and list what is not stated. "
        "With a bundle: list what it does not state, or write its card for Hugging Face.",
        epilog="exit codes: 0 written or valid; 2 not valid, or the call is wrong",
        allow_abbrev=False,
    )
    parser.add_argument("path", type=Path, nargs="?", metavar="PATH", help="a description (JSON) or a bundle's folder")
    parser.add_argument("--classes", type=int, default=2, metavar="N", help="of the template (default: 2)")
    parser.add_argument("--add", type=Path, metavar="JSON", help="add these statements to the description")
    parser.add_argument("--hugging-face", action="store_true", help="write the bundle's card with YAML metadata")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here (default: standard output)")
    parser.add_argument("--json", action="store_true", help="print what is not stated as JSON")
    return parser


def sign_parser() -> argparse.ArgumentParser:
    """Of `sign`."""
    parser = CommandParser(
        prog="python -m build_engines sign",
        description="Sign a bundle (manifest.sig beside manifest.json), a plan (plan.sig beside plan.json), a site "
        "profile or the calibration of a light board (a new file of two lines).",
        epilog=_SIGNING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="a bundle's folder, a plan's, or JSON: a profile or calibration"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="KEY.pem", help="private Ed25519 key, PEM")
    parser.add_argument("--out", type=Path, metavar="FILE", help="of a JSON file: the signed file")
    parser.add_argument(
        "--issue",
        type=int,
        metavar="N",
        help="of a bundle: the number to write into its manifest first, above that of every one issued before",
    )
    return parser


def trust_parser() -> argparse.ArgumentParser:
    """Of `trust`."""
    parser = CommandParser(
        prog="python -m build_engines trust",
        description="Write the known-answer self-test of a bundle anew, and its drift reference from the frames that "
        "are named (statistics only). The manifest changes, so the bundle must be signed again.",
        epilog="exit codes: 0 written; 2 the call or the input is unusable",
        allow_abbrev=False,
    )
    _add_replaced_bundle(parser)
    _add_reference(
        parser,
        "frames that stand for a camera",
        f"; all together become the reference `{EVERYTHING}` (default: the reference that there is)",
    )
    parser.add_argument(
        "--gradable-share",
        type=float,
        default=GRADABLE_SHARE,
        metavar="SHARE",
        help=f"of the frames in use, when all is well (default: {GRADABLE_SHARE})",
    )
    return parser


def familiar_parser() -> argparse.ArgumentParser:
    """Of `familiar`."""
    parser = CommandParser(
        prog="python -m build_engines familiar",
        description="Fit a bundle's test of what is a fundus as its networks know it on the frames that are named "
        "(statistics only). The manifest changes, so the bundle must be signed again.",
        epilog="exit codes: 0 written; 2 the call or the input is unusable",
        allow_abbrev=False,
    )
    _add_replaced_bundle(parser)
    _add_reference(parser, "gradable frames of a camera", required=True)
    parser.add_argument("--frames", type=int, default=1000, metavar="N", help="of each source, at most (default: 1000)")
    return parser


def _add_replaced_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="a bundle's folder; it is replaced when all is well"
    )


def _add_reference(parser: argparse.ArgumentParser, what: str, more: str = "", *, required: bool = False) -> None:
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        required=required,
        metavar="CAMERA=SOURCE",
        help=f"{what}, as `python -m runtime.screen` takes them; may be repeated{more}",
    )


def ir_parser() -> argparse.ArgumentParser:
    """Of `ir`."""
    parser = CommandParser(
        prog="python -m build_engines ir",
        description="Save a bundle's graphs into it as OpenVINO runs them (IR), beside the ONNX graphs, for one class "
        "of CPU or several: a cart then starts sooner, and rop-read (runtime/native) can read the bundle. They take as "
        "much room as the graphs of those precisions again. The manifest changes, so the bundle must be signed again.",
        epilog="exit codes: 0 saved; 2 the call or the bundle is unusable",
        allow_abbrev=False,
    )
    _add_replaced_bundle(parser)
    parser.add_argument(
        "--cpu-class", metavar="LIST", help="of avx2, vnni and amx, with commas (default: that of this CPU)"
    )
    parser.add_argument(
        "--precision",
        metavar="P[,P...]",
        help="fp32, fp16, int8, or two with a plus for segmentation and classifier (default: what the bundle names for "
        "the class)",
    )
    parser.add_argument("--remove", action="store_true", help="take all saved graphs out of the bundle")
    return parser


def triton_parser() -> argparse.ArgumentParser:
    """Of `triton`."""
    parser = CommandParser(
        prog="python -m build_engines triton",
        description="Write a bundle into a model repository for Triton Inference Server: both networks, what marks "
        "their answers with the bundle's hash, and an ensemble that takes an image and gives probabilities and "
        "vessels. Carts then read by it: --engine triton://HOST:8001.",
        epilog="exit codes: 0 written; 1 the server of --check refuses it; 2 the call or the bundle is unusable",
        allow_abbrev=False,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="REPOSITORY", help="its folder; other models in it stay"
    )
    parser.add_argument(
        "--backend",
        choices=("auto", *SERVER_BACKENDS),
        default="auto",
        help="of the server's: tensorrt for the bundle's plans, onnxruntime or openvino for its graphs, python for "
        "this software, installed there (default: auto, tensorrt where the bundle has plans for it, else onnxruntime)",
    )
    parser.add_argument(
        "--name", default="", metavar="NAME", help="of the model (default: the bundle's name and the start of its hash)"
    )
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="P",
        help="fp32, fp16, int8, or two with a plus for segmentation and classifier (default: that of the plans; fp32 "
        "of the graphs; with python what the bundle names for the server's machine)",
    )
    parser.add_argument(
        "--plans",
        default="",
        metavar="KEY[,KEY...]",
        help="of one release of TensorRT, one for each architecture (default: all, where they are of one release)",
    )
    parser.add_argument(
        "--batch", type=int, default=8, metavar="N", help="most frames read together, onnxruntime only (default: 8)"
    )
    parser.add_argument("--instances", type=int, default=1, metavar="N", help="of each network (default: 1)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="CPU threads of an instance (default: 2)")
    parser.add_argument(
        "--queue",
        type=int,
        default=64,
        metavar="N",
        help="frames that may wait for a network; one more is refused at once (onnxruntime, python; default: 64)",
    )
    parser.add_argument(
        "--wait-ms", type=float, default=1000.0, metavar="MS", help="that a frame may wait there (default: 1000)"
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="TRITONSERVER",
        help="start this server program on the repository for a moment and say what it thinks of it",
    )
    return parser


def vectors_parser() -> argparse.ArgumentParser:
    """Of `vectors`."""
    parser = CommandParser(
        prog="python -m build_engines vectors",
        description="Hold this runtime against the stage vectors of a bundle: pixels, the networks' input, the gate's "
        "measures, vessel map, probabilities and outcome of drawn frames. `trust` and the build write them; "
        "rop-read --vectors is the same for the native program.",
        epilog="exit codes: 0 every one is met; 1 one is not; 2 the call or the bundle is unusable",
        allow_abbrev=False,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--precision", metavar="P", help="fp32, fp16, int8, or two with a plus (default: every one that is known)"
    )
    return parser

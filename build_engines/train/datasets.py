"""The public data sets that the demonstration is trained on: citation, licence, source.

Facts from the PROVENANCE.md that stands beside each data set.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from build_engines.train.data import TrainingFrame
from runtime.manifest import TrainingSet

_HVDROPDB = (
    "R. Agrawal, R. Walambe, K. Kotecha, A. Gaikwad, C. M. Deshpande, S. Kulkarni, HVDROPDB datasets for research in "
    "retinopathy of prematurity, Data in Brief 52 (2024) 109839",
    "CC BY 4.0",
    "https://doi.org/10.17632/xw5xc7xrmp.3",
)
SOURCES = MappingProxyType(
    {
        "hvdropdb_vessels": _HVDROPDB,
        "hvdropdb_disc": _HVDROPDB,
        "hvdropdb_ridge": _HVDROPDB,
        "hrf": (
            "A. Budai, R. Bock, A. Maier, J. Hornegger, G. Michelson, Robust Vessel Segmentation in Fundus Images, "
            "International Journal of Biomedical Imaging 2013, 154860",
            "CC BY 4.0",
            "https://www5.cs.fau.de/research/data/fundus-images/",
        ),
        "chase_db1": (
            "M. M. Fraz et al., An Ensemble Classification-Based Approach Applied to Retinal Blood Vessel "
            "Segmentation, IEEE TBME 59(9), 2012; C. G. Owen et al., IOVS 50(5), 2009",
            "CC BY 4.0",
            "https://researchinnovation.kingston.ac.uk/en/datasets/chasedb1-retinal-vessel-reference-dataset-4/",
        ),
        "fives_amd20": (
            "K. Jin et al., FIVES: A Fundus Image Dataset for AI-based Vessel Segmentation, Scientific Data 9:475 "
            "(2022); 20 of its 800 images",
            "CC BY 4.0",
            "https://doi.org/10.6084/m9.figshare.19688169",
        ),
    }
)
"""Citation, licence, address of each data set, by folder name."""


def training_sets(frames: Iterable[TrainingFrame]) -> tuple[TrainingSet, ...]:
    """What the manifest says of the frames that were trained on; a file used in both phases counts once."""
    files = {frame.image: frame.dataset for frame in frames}
    counts = {name: sum(dataset == name for dataset in files.values()) for name in SOURCES}
    return tuple(
        TrainingSet(
            name=name, frames=count, citation=SOURCES[name][0], licence=SOURCES[name][1], source=SOURCES[name][2]
        )
        for name, count in counts.items()
        if count
    )

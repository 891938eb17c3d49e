"""Figures that the LIA-X paper prints (Wang et al., arXiv 2508.09959), to stand beside one's own.

They were measured by the paper's authors, on their crops and their splits, with weights of metric
networks that the paper doesn't name by hash: marked as published wherever they are shown, and never
used for anything else.
"""

import dataclasses
import re
from collections.abc import Mapping

SOURCE = "LIA-X, arXiv 2508.09959"


@dataclasses.dataclass(frozen=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
      dataset: as `--dataset` names it.
      about: which clips, in words.
      protocol: name of the protocol.
      resolution: in pixels; None where the rows are of each system's own.
      where: the table's number in the paper.
      metrics: of the columns, by the names that this program uses.
      rows: system to its figures as printed.
    """

    dataset: str
    about: str
    protocol: str
    resolution: int | None
    where: str
    metrics: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]


_FIVE = ("l1", "lpips_alex", "ssim", "psnr", "fid")
_VOX = ("voxcelebhq", "VoxCelebHQ, 483 test clips", "self_reenactment")
_TALKING = ("talkinghead1kh", "TalkingHead-1KH, 25 validation clips", "self_reenactment")

TABLES = (
    PublishedTable(
        *_VOX,
        256,
        "Table 1",
        _FIVE,
        {
            "FOMM": ("0.046", "0.27", "0.66", "22.40", "12.67"),
            "DaGAN": ("0.044", "0.110", "0.69", "23.04", "9.13"),
            "TPS": ("0.043", "0.112", "0.70", "23.24", "10.82"),
            "MCNet": ("0.040", "0.176", "0.72", "23.73", "18.63"),
            "LIA-X": ("0.036", "0.095", "0.73", "24.82", "10.74"),
        },
    ),
    PublishedTable(
        *_VOX,
        512,
        "Table 1",
        _FIVE,
        {
            "X-Portrait": ("0.110", "0.302", "0.56", "16.99", "19.92"),
            "LivePortrait": ("0.087", "0.264", "0.67", "17.45", "12.90"),
            "LIA": ("0.052", "0.211", "0.68", "22.14", "21.86"),
            "LIA-X": ("0.040", "0.160", "0.75", "24.39", "12.50"),
        },
    ),
    PublishedTable(
        *_VOX,
        512,
        "Tables 3 and 4",
        _FIVE[:4],
        {
            "LIA-X 0.05B": ("0.043", "0.171", "0.72", "23.62"),
            "LIA-X 0.3B": ("0.040", "0.16", "0.74", "24.31"),
            "LIA-X 0.9B": ("0.040", "0.16", "0.75", "24.39"),
        },
    ),
    PublishedTable(
        *_TALKING,
        256,
        "Table 1",
        _FIVE,
        {
            "FOMM": ("0.040", "0.100", "0.72", "23.31", "30.39"),
            "DaGAN": ("0.036", "0.088", "0.77", "24.95", "25.50"),
            "TPS": ("0.037", "0.089", "0.77", "24.56", "28.05"),
            "MCNet": ("0.030", "0.097", "0.79", "25.70", "28.06"),
            "LIA-X": ("0.035", "0.086", "0.78", "26.26", "24.71"),
        },
    ),
    PublishedTable(
        *_TALKING,
        512,
        "Table 1",
        _FIVE,
        {
            "X-Portrait": ("0.058", "0.134", "0.63", "19.46", "41.19"),
            "LivePortrait": ("0.052", "0.120", "0.73", "20.26", "39.98"),
            "LIA": ("0.049", "0.165", "0.72", "23.37", "44.64"),
            "LIA-X": ("0.035", "0.115", "0.80", "26.07", "38.93"),
        },
    ),
    PublishedTable(
        "hdtfaahq",
        "70 HDTF clips, 2 random AAHQ stills each",
        "cross_reenactment",
        None,
        "Table 2",
        ("identity", "hyperiqa"),
        {
            "FOMM": ("0.262", "37.08"),
            "DaGAN": ("0.272", "39.30"),
            "TPS": ("0.216", "38.27"),
            "MCNet": ("0.252", "37.88"),
            "X-Portrait": ("0.217", "55.41"),
            "LivePortrait": ("0.243", "51.41"),
            "LIA-X": ("0.206", "58.74"),
        },
    ),
)

DATASETS = tuple(dict.fromkeys(table.dataset for table in TABLES))


def normalised(dataset: str) -> str:
    """A data set's name without case and punctuation: "VoxCeleb-HQ" is "voxcelebhq"."""
    return re.sub(r"[^a-z0-9]", "", dataset.lower())


def published_tables(dataset: str, protocol: str, resolution: int) -> list[PublishedTable]:
    """The tables for the same data set, protocol and resolution."""
    return [
        table
        for table in TABLES
        if table.dataset == normalised(dataset)
        and table.protocol == protocol
        and table.resolution in (None, resolution)
    ]

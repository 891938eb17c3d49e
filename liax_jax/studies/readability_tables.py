"""Tables of the study of readability, and the rows that they compare."""

import math
from collections.abc import Collection, Mapping, Sequence

from liax_jax.studies.axes_afterwards import CRITERIA, KEPT_DIRECTIONS, OF_EQUAL_SIZES
from liax_jax.studies.cell_measures import KIND
from liax_jax.studies.document import shown, table
from liax_jax.studies.rows import Row, above_control, paired
from liax_jax.studies.seed_statistics import Statistic

# Of the rows that targets and pictures compare; configs/studies/interpretability.py names them.
DENSE, SPARSE, RELEASED = "dense", "sparse", "sparse, released"
# Trained for more steps.
LONGER_DENSE = f"{DENSE}, longer"
LONGER_SPARSE = ("λ₂ 0.01, longer", "λ₂ 0.03, longer")
# Pairs that are held against what was aimed at.
AIMED_AT = {"targets": (SPARSE, DENSE), "targets_longer": (LONGER_SPARSE[-1], LONGER_DENSE)}
# More factors, whose effects on the picture overlap.
SEVEN_DENSE = f"seven factors, {DENSE}"
# Bases found afterwards: as the penalty of eq. 9 would, on frames; and on deviations by sparsity
# and by variances alone.
OF_FRAMES, TURNED, PRINCIPAL = "rotated (l1 of frames)", "rotated (l1)", "rotated (pca)"
# λ₂ was chosen on pilots with this seed, and which longer rows to repeat on its cells.
CHOSEN_ON = 0
SETTINGS = {"lambda2": "λ₂", "vectors": "M", "steps": "steps"}
COLUMNS = {
    "pooled_psnr": ("PSNR, dB (copy)", 2, True),
    "dci_d": ("DCI-D (control)", 2, True),
    "mig_frames": ("MIG of frames (control)", 2, True),
    "matched": ("matched correlation (control)", 2, True),
    "matched_above": ("above its control", 2, False),
}
SCORE_COLUMNS = {
    "dci_d_all": ("DCI-D of all factors (control)", 2, True),
    "dci_d_used": ("of used vectors (control)", 2, True),
    "forest_d": ("with a forest (control)", 2, True),
    "dci_c": ("DCI-C (control)", 2, True),
    "mig": ("MIG of deviations (control)", 2, True),
    "sap": ("SAP (control)", 2, True),
    "modularity": ("modularity (control)", 2, True),
    "irs": ("IRS (control)", 2, True),
}
SPARSITY_COLUMNS = {
    "gini_deviations": ("Gini (control)", 2, True),
    "effective_vectors_deviations": ("effective vectors (control)", 1, True),
    "mean_abs": ("mean abs. α", 3, False),
    "udr": ("UDR (control)", 2, True),
}
# What hardly depends on the axes.
TRAINED_COLUMNS = {
    "l1": ("L1 (copy)", 4, True),
    "ssim": ("SSIM (copy)", 2, True),
    "psnr": ("PSNR, mean over frames, dB (copy)", 2, True),
    "found": ("factors found", 1, False),
    "dci_i": ("R² of factors, mean", 2, False),
    "linear_r2": ("linear R² between seeds", 2, False),
    "minutes": ("minutes of training", 0, False),
}
KEYS = {
    "value": "mean over seeds",
    "interval": "95 %, over what `over` says: seeds (Student's t), pairs (jackknife over seeds) or "
    "people; null where there is none",
    "control": "of readability the same codes in random bases, of reconstruction a copy of the "
    "source; mean over seeds",
    "values, controls": "of each seed, or of each pair of seeds",
    "pooled_psnr": "PSNR, dB, of the squared error averaged over all frames: the page's PSNR",
    "psnr": "mean of each frame's own PSNR, dB, at most 100",
    "l1": "mean |error| of pixels in [-1, 1]",
    "dci_d, dci_c, dci_i": "DCI disentanglement and completeness by ridge regression, of the "
    "factors found; R² on people kept apart, mean over all factors",
    "dci_d_all, dci_d_used": "of all factors; of used vectors",
    "forest_d": "DCI disentanglement by a forest",
    "mig, mig_frames": "mutual information gap of deviations; of frames as they are",
    "matched, matched_above": "matched |correlation| between seeds; (it − control) / (1 − control)",
    "axes": "of each row, DCI-D in axes found afterwards: criterion of what it is least for",
}
# (one, the other, seeds to leave out)
_COMPARED: tuple[tuple[str, str, Collection[int]], ...] = (
    (SPARSE, DENSE, ()),
    (SPARSE, DENSE, (CHOSEN_ON,)),
    (SPARSE, f"{DENSE}, {TURNED}", ()),
    (f"{DENSE}, {TURNED}", DENSE, ()),
    (f"{DENSE}, {TURNED}", f"{DENSE}, {PRINCIPAL}", ()),
    (f"{SPARSE}, {OF_FRAMES}", SPARSE, ()),
    (RELEASED, DENSE, ()),
    (RELEASED, SPARSE, ()),
    *((name, LONGER_DENSE, ()) for name in LONGER_SPARSE),
    (LONGER_SPARSE[-1], LONGER_DENSE, (CHOSEN_ON,)),
)


def distribution_pairs(rows: Sequence[Row]) -> dict[str, tuple[Row, Row]]:
    """{distribution: (dense, sparse)} of rows that differ in λ₂ and distribution alone."""
    found: dict[str, dict[bool, Row]] = {}
    for row in rows:
        name = row.settings["distribution"]
        if row.name in (DENSE, SPARSE, f"{name}, {DENSE}", f"{name}, {SPARSE}"):
            found.setdefault(name, {})[row.settings["penalty"] != "none"] = row
    return {name: (pair[False], pair[True]) for name, pair in found.items() if len(pair) == 2}


def comparisons_table(rows: Mapping[str, Row]) -> str:
    """Differences seed by seed."""
    lines = []
    for first, second, without in _COMPARED:
        if first not in rows or second not in rows:
            continue
        pair = rows[first], rows[second]
        line = [paired(*pair, measure, without=without) for measure in ("dci_d", "dci_d_all")]
        # Turning a dictionary changes no picture.
        turned = "rotated" in first
        psnr = None if turned else paired(*pair, "pooled_psnr", without=without)
        texts = [*(shown(found, 3) for found in line), shown(psnr, 2)]
        left_out = "".join(f", without seed {seed}" for seed in without)
        lines.append([f"{first} − {second}{left_out}", *texts])
    for row in (rows[name] for name in (SPARSE, DENSE) if name in rows):
        texts = [shown(above_control(row, measure), 3) for measure in ("dci_d", "dci_d_all")]
        lines.append([f"{row.name} − its control", *texts, "–"])
    return table(("seed by seed", "DCI-D", "DCI-D of all factors", "PSNR, dB"), lines)


def distributions_table(pairs: Mapping[str, tuple[Row, Row]]) -> str:
    """What training with the penalty does, by the distribution of the factors."""
    header = [
        "distribution", "kurtosis", "seeds", "PSNR dense", "PSNR sparse", "found dense",
        "found sparse", "DCI-D dense (control)", "DCI-D sparse (control)", "gain",
    ]  # fmt: skip
    lines = []
    for name, (dense, sparse) in pairs.items():
        kurtosis = [about["kurtosis"] for about in dense.factors.values()]
        both = [
            shown(row.statistics.get(key), digits, control)
            for key, digits, control in (
                ("pooled_psnr", 2, False),
                ("found", 1, False),
                ("dci_d", 2, True),
            )
            for row in (dense, sparse)
        ]
        gain = shown(paired(sparse, dense, "dci_d"), 2)
        mean = f"{sum(kurtosis) / len(kurtosis):+.2f}"
        lines.append([name, mean, str(len(dense.seeds)), *both, gain])
    return table(header, lines)


def axes_table(
    pairs: Mapping[str, tuple[Row, Row]], axes: Mapping[str, Mapping[str, Statistic]]
) -> str:
    """What axes each criterion finds afterwards, by the factors' distribution."""
    header = [
        "distribution", "trained", "random", "ℓ1, of frames", "principal axes, of frames",
        "ℓ1, of deviations", "ICA, of deviations", "principal axes, of deviations",
        "equal sizes: directions", "equal sizes: random", "equal sizes: ℓ1", "equal sizes: ICA",
    ]  # fmt: skip
    lines = []
    for name, pair in pairs.items():
        for row, how in zip(pair, (DENSE, SPARSE), strict=True):
            if row.name in axes:
                lines.append([name, how, *_axes_line(axes[row.name])])
    return table(header, lines)


def _axes_line(found: Mapping[str, Statistic]) -> list[str]:
    names = ("l1 of frames", "pca of frames", *(f"{name} of {KIND}" for name in CRITERIA))
    forms = [found[name] for name in names]
    equal = [found[f"{criterion} of equal sizes"] for criterion in OF_EQUAL_SIZES]
    return [
        f"{forms[0].control:.2f}",
        *(shown(score, 2, control=False) for score in forms),
        f"{found[KEPT_DIRECTIONS].value:.1f}",
        f"{equal[0].control:.2f}",
        *(shown(score, 2, control=False) for score in equal),
    ]


def factors_table(dense: Row | None, sparse: Row | None) -> str:
    header = ("factor", "kurtosis", "R² dense", "R² sparse", "completeness dense", "sparse")
    if dense is None or sparse is None:
        return table(header, [])
    lines = []
    for name, about in dense.factors.items():
        other = sparse.factors[name]
        pairs = [(about[key], other[key]) for key in ("r2", "completeness")]
        values = ["–" if math.isnan(value) else f"{value:.2f}" for pair in pairs for value in pair]
        lines.append([name, f"{about['kurtosis']:+.1f}", *values])
    return table(header, lines)

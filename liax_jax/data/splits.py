"""Which clips are for training and which for validation: by name, or by a hash of who they show."""

import hashlib
from collections.abc import Sequence

from liax_jax.data.items import Item


def assign_splits(
    items: Sequence[Item],
    val_names: Sequence[str] = (),
    val_fraction: float | None = None,
) -> list[str]:
    """The split of each item: the data set's own, or "train" or "val".

    By fraction, an item goes to validation if the hash of its identity falls below the fraction, so
    that a clip stays where it is when others are added, and nobody is in both splits; at least one
    identity goes to each split. Where all items are of one identity, their names are hashed.

    Raises:
        ValueError: unknown or contradictory names or fraction.
    """
    given = [item.split for item in items if item.split is not None]
    if given:
        if val_names or val_fraction is not None:
            raise ValueError(
                f"the clips have splits of their own ({', '.join(sorted(set(given)))}): leave out "
                "--val and --val-fraction"
            )
        return [str(item.split) for item in items]
    if val_names and val_fraction is not None:
        raise ValueError("give --val or --val-fraction, not both")
    if val_names:
        return _splits_by_name(items, val_names)
    fraction = 0.1 if val_fraction is None else val_fraction
    if not 0 <= fraction < 1:
        raise ValueError(f"val-fraction must be in [0, 1), got {fraction}")
    keys = [item.identity for item in items]
    if len(set(keys)) == 1:
        keys = [item.name for item in items]
    hashes = {
        key: int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little") / 2**64
        for key in keys
    }
    val = {key for key, value in hashes.items() if value < fraction}
    if fraction and len(hashes) > 1:
        by_hash = sorted(hashes, key=lambda key: hashes[key])
        val = (val or {by_hash[0]}) - {by_hash[-1]}
    return ["val" if key in val else "train" for key in keys]


def _splits_by_name(items: Sequence[Item], val_names: Sequence[str]) -> list[str]:
    used = set()
    splits = []
    for item in items:
        matches = {item.name, item.path.name, item.path.stem, item.identity} & set(val_names)
        used |= matches
        splits.append("val" if matches else "train")
    unknown = [name for name in val_names if name not in used]
    if unknown:
        some = ", ".join(item.name for item in items[:20])
        raise ValueError(
            f"--val names no clip: {', '.join(unknown)}; the clips are {some}"
            + (", …" if len(items) > 20 else "")
        )
    if "train" not in splits:
        raise ValueError("--val names every clip; none is left for training")
    return splits

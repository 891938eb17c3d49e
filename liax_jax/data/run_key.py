"""What the records of a run depend on: two runs of one description make the same records."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from liax_jax.data import records
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Item
from liax_jax.data.source import Source


def describe(
    source: Source, items: Sequence[Item], options: FrameOptions, max_file_bytes: int
) -> dict[str, Any]:
    """What the records depend on, the splits apart; sources by name and size."""
    listing = hashlib.sha256()
    for item in items:
        fields = {**dataclasses.asdict(item), "path": None}
        listing.update(json.dumps(fields, sort_keys=True).encode())
    return {
        "records_version": records.VERSION,
        "layout": source.layout,
        "options": options.to_json(),
        "max_file_bytes": max_file_bytes,
        "sources": len(items),
        "sources_listing": listing.hexdigest(),
    }


def differences(other: dict[str, Any], own: dict[str, Any]) -> str:
    def flat(fields: dict[str, Any]) -> dict[str, Any]:
        options = dict(fields.get("options", {}))
        crop = options.pop("crop", {})
        return {**{k: v for k, v in fields.items() if k != "options"}, **options, **crop}

    theirs, ours = flat(other), flat(own)
    different = [
        f"{name} {theirs.get(name)}, not {ours[name]}"
        for name in ours
        if name != "sources_listing" and theirs.get(name) != ours[name]
    ]
    return "; ".join(different) or "other sources"

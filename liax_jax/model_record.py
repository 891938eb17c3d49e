"""What a model is, beside its parameters: configuration, direction card, origin, license."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.directions import DirectionCard
from liax_jax.models import ModelConfig
from liax_jax.models.config import ARITHMETIC_FIELDS

Params = dict[str, Any]

PUBLISHED_LICENSE = "CC BY-NC 4.0 (weights published by the authors of LIA-X/LIA)"
FAMILY_NAMES = {"lia_x": "LIA-X", "lia": "LIA"}
_FORMAT, _VERSION = "liax_jax model", 1


class ModelFileError(ValueError):
    """A model that can't be read or written, with what to do about it."""


@dataclasses.dataclass(frozen=True)
class ModelRecord:
    """What a model is, beside its parameters.

    Attributes:
      config: its hyperparameters.
      card: what its directions are called.
      step: of training; None where it isn't known.
      origin: the file or run it came from.
      license: terms of the weights; "" for one's own.
      fingerprint: hash of dictionary and configuration, which says whether coefficients mean the
        same in two models; stays the same through converting and back.
    """

    config: ModelConfig
    card: DirectionCard
    step: int | None
    origin: str
    license: str
    fingerprint: str

    def __post_init__(self):
        if self.card.num_vectors != self.config.num_vectors:
            raise ModelFileError(
                f"the direction card is of a model with {self.card.num_vectors} directions; this "
                f"one has {self.config.num_vectors}"
            )

    def to_json(self, **more: Any) -> str:
        """All but the card as JSON text, with more fields of the file it is written to."""
        fields = dataclasses.asdict(self)
        del fields["card"]
        content = {"format": _FORMAT, "version": _VERSION} | fields | more
        return json.dumps(content, indent=2, ensure_ascii=False)


def fingerprint(config: ModelConfig, params: Params) -> str:
    """16 hexadecimal digits of the SHA-256 over the dictionary's weight and the configuration."""
    fields = dataclasses.asdict(config)
    for name in ARITHMETIC_FIELDS:
        del fields[name]
    # Models from before this field have masks, and keep their fingerprints.
    if fields["use_mask"]:
        del fields["use_mask"]
    # 2 and 2.0 are the same width.
    fields["width"] = float(fields["width"])
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(params["dictionary"]["weight"], "<f4").tobytes())
    return digest.hexdigest()[:16]


def parse_record(text: str, where: Path) -> dict[str, Any]:
    """Reads the text of `ModelRecord.to_json`.

    Raises:
      ModelFileError: another text, or one of a newer version.
    """
    try:
        content = json.loads(text)
        known = content["format"] == _FORMAT
        version = int(content["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{where} doesn't say what model it is: {error!r}") from error
    if not known or version > _VERSION:
        raise ModelFileError(
            f"{where} is of version {version} of the format {content['format']!r}; this program "
            f"reads up to version {_VERSION} of {_FORMAT!r}. Update it: pip install -U liax-jax"
        )
    return content


def build_record(
    content: Mapping[str, Any], card: DirectionCard, params: Params, where: Path
) -> ModelRecord:
    """The record of a parsed text, checked against the parameters.

    Raises:
      ModelFileError: a field is missing or wrong, or the text is of another model.
    """
    try:
        record = ModelRecord(
            config=ModelConfig(**content["config"]),
            card=card,
            step=None if content["step"] is None else int(content["step"]),
            origin=str(content["origin"]),
            license=str(content["license"]),
            fingerprint=str(content["fingerprint"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{where}: {error}") from error
    if record.fingerprint != fingerprint(record.config, params):
        raise ModelFileError(
            f"{where}: the motion dictionary or the configuration is not the one that was saved "
            f"(its fingerprint is not {record.fingerprint}); convert the original again"
        )
    return record

"""The direction card: what each motion vector of a checkpoint does, by name, sign and range."""

import collections
import dataclasses
import difflib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from liax_jax.log import logger

# The range and the steps of the paper's traversals (Fig. 4: -0.5 to 0.5 by 0.1), for vectors of
# which nothing is known.
DEFAULT_RANGE = (-0.5, 0.5)
SWEEP_STEPS = 11
# Values by name or index.
Edits = Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]
CARD_NAME = "directions.json"
GROUPS = ("pose", "mouth", "eyes", "other")
# What people call several groups at once.
_GROUP_UNIONS = {"expression": ("mouth", "eyes")}


class DirectionError(ValueError):
    """A direction or a value that the card doesn't allow, with what it does."""


def default_name(index: int) -> str:
    """What a direction is called that nobody has named."""
    return f"direction_{index}"


@dataclasses.dataclass(frozen=True)
class Direction:
    """One named motion vector.

    Attributes:
      index: which vector d_i, from 0.
      name: what a user calls it.
      group: "pose", "mouth", "eyes" or "other".
      sign: 1, or −1 where a positive value of the name is a negative coefficient.
      low, high: useful range of values of the name, in units of the coefficient.
      meaning: what happens from low to high, in words.
      confidence: in a measured name (`liax interpret`), 0 to 1; None for one given by hand.
    """

    index: int
    name: str
    group: str = "other"
    sign: int = 1
    low: float = DEFAULT_RANGE[0]
    high: float = DEFAULT_RANGE[1]
    meaning: str = ""
    confidence: float | None = None

    def __post_init__(self):
        if self.group not in GROUPS:
            raise DirectionError(
                f"direction {self.name}: group {self.group!r} is none of {', '.join(GROUPS)}"
            )
        if self.sign not in (1, -1):
            raise DirectionError(f"direction {self.name}: sign {self.sign} is neither 1 nor -1")
        if not self.low <= 0 <= self.high or self.low == self.high:
            raise DirectionError(
                f"direction {self.name}: the range {self.low} … {self.high} has to hold 0"
            )
        if not self.name or self.name.isdigit() or set(self.name) & set("=, "):
            raise DirectionError(
                f"direction {self.index}: {self.name!r} is no name; use letters, not a number, "
                "without '=', ',' or blanks"
            )

    def sweep(self) -> np.ndarray:
        """(11,) float32 values over the useful range: low, ..., 0, ..., high, as many on each side.

        Where one end of the range is 0, from end to end.
        """
        half = SWEEP_STEPS // 2
        if self.low < 0 < self.high:
            down = np.linspace(self.low, 0, half, endpoint=False)
            return np.append(down, np.linspace(0, self.high, half + 1)).astype(np.float32)
        return np.linspace(self.low, self.high, SWEEP_STEPS, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class DirectionCard:
    """The named directions of one dictionary; vectors without a name go by their index.

    Attributes:
      num_vectors: M of the model.
      directions: in any order; index and name each occur once.
    """

    num_vectors: int
    directions: tuple[Direction, ...] = ()

    def __post_init__(self):
        indices = [d.index for d in self.directions]
        names = [d.name for d in self.directions]
        for what, values in (("index", map(str, indices)), ("name", names)):
            counted = collections.Counter(values).most_common(1)
            if counted and counted[0][1] > 1:
                raise DirectionError(f"the direction card repeats the {what} {counted[0][0]}")
        for index in indices:
            self._checked_index(index)
        taken = (set(GROUPS) | set(_GROUP_UNIONS) | {"all"}) & set(names)
        if taken:
            raise DirectionError(f"{sorted(taken)[0]!r} names a group and can't name a direction")

    @property
    def named(self) -> tuple[Direction, ...]:
        """The directions that somebody has named; others may have a measured range."""
        return tuple(d for d in self.directions if d.name != default_name(d.index))

    def at(self, index: int) -> Direction:
        """The direction of this index, in its named sense; unnamed ones get the default range."""
        by_index = {d.index: d for d in self.directions}
        return by_index.get(self._checked_index(index), Direction(index, default_name(index)))

    def find(self, name_or_index: str | int) -> Direction:
        """The direction of a name, in its named sense, or of an index, in the coefficient's own.

        Raises:
          DirectionError: there is none; names the nearest ones.
        """
        text = str(name_or_index)
        if text.lstrip("-").isdigit():
            found = self.at(int(text))
            low, high = sorted((found.sign * found.low, found.sign * found.high))
            return dataclasses.replace(found, sign=1, low=low, high=high)
        by_name = {d.name: d for d in self.directions}
        if text in by_name:
            return by_name[text]
        raise DirectionError(self._unknown(text, list(by_name)))

    def select(self, names: str | Iterable[str | int]) -> tuple[int, ...]:
        """Indices of directions and groups, in rising order.

        Args:
          names: names, indices, groups ("pose", "mouth", "eyes", "other", "expression") or "all";
            a string holds several, separated by commas.

        Raises:
          DirectionError: an unknown name, or a group of which the card names no direction.
        """
        wanted = names.split(",") if isinstance(names, str) else names
        indices: set[int] = set()
        for name in wanted:
            text = str(name).strip()
            groups = _GROUP_UNIONS.get(text, (text,) if text in GROUPS else ())
            if text == "all":
                indices |= set(range(self.num_vectors))
            elif groups:
                members = {d.index for d in self.directions if d.group in groups}
                if not members:
                    raise DirectionError(
                        f"no direction of this model is named as {text!r}; write its direction "
                        f"card ({CARD_NAME}), or give indices from 0 to {self.num_vectors - 1}"
                    )
                indices |= members
            elif text:
                indices.add(self.find(text).index)
        return tuple(sorted(indices))

    def mask(self, names: str | Iterable[str | int]) -> np.ndarray:
        """(M,) bool: True for the directions that `select` finds."""
        mask = np.zeros(self.num_vectors, bool)
        mask[list(self.select(names))] = True
        return mask

    def vector(self, edits: Edits, strict: bool = False) -> np.ndarray:
        """Changes of the coefficients (M,) float32 for values by name or index; they add up.

        A value by name counts in the direction's named sense, one by index is the coefficient's.

        A value outside the useful range is a warning, or with `strict` an error.

        Raises:
          DirectionError: an unknown direction, a value that isn't finite, or out of range.
        """
        change = np.zeros(self.num_vectors, np.float32)
        for key, value in edits.items():
            direction = self.find(key)
            if not np.isfinite(value):
                raise DirectionError(f"{key}={value}: the value has to be a finite number")
            if not direction.low <= value <= direction.high:
                message = (
                    f"{key}={value:g} is outside the useful range of this direction, "
                    f"{direction.low:g} … {direction.high:g}"
                )
                if strict:
                    raise DirectionError(message)
                logger.warning("%s; expect artefacts", message)
            change[direction.index] += direction.sign * value
        return change

    def coefficient_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest useful change of every coefficient: (M,), (M,) float32."""
        found = [self.find(index) for index in range(self.num_vectors)]
        return (
            np.array([d.low for d in found], np.float32),
            np.array([d.high for d in found], np.float32),
        )

    def describe(self, change: np.ndarray, digits: int = 3) -> dict[str, float]:
        """The reverse of `vector`: {name, or index where unnamed: value} of the nonzero changes."""
        named = {d.index: d for d in self.directions}
        values = {}
        for index in np.flatnonzero(np.asarray(change)):
            direction = named.get(int(index))
            value = round(float(change[index]) * (direction.sign if direction else 1), digits)
            if value:
                values[direction.name if direction else str(index)] = value
        return values

    def to_json(self) -> str:
        """The card as JSON text."""
        content = {
            "num_vectors": self.num_vectors,
            "directions": [
                {k: v for k, v in dataclasses.asdict(d).items() if v is not None}
                for d in self.directions
            ],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "the direction card") -> "DirectionCard":
        """Reads `to_json`'s text.

        Raises:
          DirectionError: not such a card; says what is wrong, and where.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            directions = tuple(Direction(**entry) for entry in content["directions"])
            return cls(int(content["num_vectors"]), directions)
        except DirectionError as error:
            raise DirectionError(f"{where}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise DirectionError(f"{where} is not a direction card: {error!r}") from error

    def _checked_index(self, index: int) -> int:
        if not 0 <= index < self.num_vectors:
            raise DirectionError(
                f"there is no direction {index}; this model has 0 to {self.num_vectors - 1}"
            )
        return index

    def _unknown(self, text: str, names: list[str]) -> str:
        if not names:
            return (
                f"this model's directions have no names, so {text!r} is unknown; give an index "
                f"from 0 to {self.num_vectors - 1}, or name them in {CARD_NAME} in its folder"
            )
        near = difflib.get_close_matches(text, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"there is no direction {text!r}.{hint} Names: {', '.join(names)}; and the indices 0 "
            f"to {self.num_vectors - 1}"
        )


def read_card(path: str | os.PathLike[str]) -> DirectionCard:
    """Reads a direction card. Raises DirectionError where it isn't one, OSError where it can't."""
    return DirectionCard.from_json(Path(path).read_text(), where=str(path))


# The named directions of the released LIA-X, with the ranges that people use.
RELEASED_LIA_X = DirectionCard(
    40,
    (
        Direction(37, "yaw", "pose", 1, -1.0, 0.5, "turn the head"),
        Direction(39, "yaw_shoulders", "pose", 1, -1.0, 0.5, "turn head and shoulders"),
        Direction(28, "pitch", "pose", 1, -1.0, 0.5, "nod"),
        Direction(15, "roll", "pose", 1, -0.5, 0.5, "tilt the head"),
        Direction(33, "roll_2", "pose", 1, -0.5, 0.5, "tilt the head, second direction"),
        Direction(31, "neck", "pose", 1, -0.5, 0.5, "move the neck"),
        Direction(6, "pout", "mouth", 1, -0.4, 0.4, "pout"),
        Direction(25, "mouth_close", "mouth", 1, -0.4, 0.4, "mouth, open to closed"),
        Direction(16, "mouth_o", "mouth", 1, -0.4, 0.4, "lips to an O"),
        Direction(19, "smile", "mouth", 1, -0.4, 0.4, "cheeks, smile"),
        Direction(13, "eyes_open", "eyes", 1, -0.4, 0.4, "eyes, closed to open"),
        Direction(24, "eyebrows", "eyes", 1, -0.4, 0.4, "eyebrows"),
        Direction(17, "gaze", "eyes", 1, -0.2, 0.2, "eyeballs"),
        Direction(26, "gaze_2", "eyes", 1, -0.2, 0.2, "eyeballs, second direction"),
    ),
)

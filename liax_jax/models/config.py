"""Hyperparameters of the animator, checked once, when they are made."""

import dataclasses

FAMILIES = ("lia_x", "lia")
FLOW_INITS = ("published", "identity")
DTYPES = ("float32", "bfloat16")
REMATS = ("none", "blocks", "levels")
# Fields that change how the numbers are computed or where training starts, and nothing that is
# saved: a model with others of these is the same model.
ARITHMETIC_FIELDS = ("dtype", "flow_init", "scan_blocks", "remat")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Size and variant of an animator.

    Attributes:
      family: "lia_x" (residual flow and render blocks, sparse dictionary, corners aligned) or
        "lia" (its dense predecessor).
      resolution: side of the square input and output, pixels; a power of two ≥ 32.
      width: the paper's channel multiplier s. The style width is D = max_channels · s.
      num_blocks: residual blocks per level in flow generator and renderer, N (LIA-X only).
      num_vectors: motion vectors in the dictionary, M; at most D.
      groups: groups of the GroupNorm in the flow blocks (LIA-X only); divides every channel count.
      base_channels: channels at the finest level per unit of width (LIA-X: at `resolution`;
        LIA: at 256 pixels). Doubles with every halving of the resolution.
      max_channels: upper bound of the channels per unit of width.
      flow_init: "published" (N(0, 1) like every weight) or "identity" (flow heads start at zero
        with open masks, so that training begins at the identity warp).
      use_mask: whether the flow generator's masks hide parts of the warped features; without, they
        are 1 everywhere (an ablation: the same parameters, of which those of the mask do nothing).
      dtype: arithmetic of the convolutions, "float32" or "bfloat16"; parameters stay float32.
      scan_blocks: compile the blocks of a level once, as a loop (LIA-X only): the same numbers,
        less to compile.
      remat: what the backward pass computes again, to keep less: "none"; "blocks", the insides of
        residual blocks; "levels", all of a level of encoder, flow generator and renderer besides.

    Raises:
      ValueError: names the field, its value and what it may be.
    """

    family: str = "lia_x"
    resolution: int = 256
    width: float = 1.0
    num_blocks: int = 4
    num_vectors: int = 40
    groups: int = 32
    base_channels: int = 64
    max_channels: int = 512
    flow_init: str = "published"
    use_mask: bool = True
    dtype: str = "float32"
    scan_blocks: bool = False
    remat: str = "none"

    def __post_init__(self):
        def require(condition: bool, field: str, needs: str) -> None:
            if not condition:
                raise ValueError(f"model.{field} = {getattr(self, field)!r}: {needs}")

        for field, allowed in (
            ("family", FAMILIES),
            ("flow_init", FLOW_INITS),
            ("dtype", DTYPES),
            ("remat", REMATS),
        ):
            require(getattr(self, field) in allowed, field, f"choose one of {', '.join(allowed)}")
        require(isinstance(self.scan_blocks, bool), "scan_blocks", "must be True or False")
        r = self.resolution
        require(
            isinstance(r, int) and r >= 32 and r & (r - 1) == 0,
            "resolution",
            "must be a power of two, 32 or more",
        )
        require(self.width > 0, "width", "must be positive")
        require(self.num_blocks >= 0, "num_blocks", "must be 0 or more")
        require(self.groups >= 1, "groups", "must be 1 or more")
        for resolution in (4, *self.levels):
            channels = self._exact_channels(resolution)
            require(
                channels >= 1 and channels == int(channels),
                "width",
                f"gives {channels:g} channels at {resolution} pixels; choose a width (or "
                "base_channels, max_channels) that gives whole numbers at every level",
            )
            require(
                self.family != "lia_x" or self.num_blocks == 0 or channels % self.groups == 0,
                "groups",
                f"the {channels:g} channels at {resolution} pixels are not divisible by the groups "
                "of the GroupNorm; change groups, or width, base_channels and max_channels",
            )
        require(
            1 <= self.num_vectors <= self.style_dim,
            "num_vectors",
            f"must lie between 1 and the style width, {self.style_dim}",
        )

    @property
    def levels(self) -> tuple[int, ...]:
        """Resolutions of the feature pyramid, coarse to fine: 8 … resolution."""
        return tuple(2**i for i in range(3, self.resolution.bit_length()))

    @property
    def style_dim(self) -> int:
        """D, the length of latent codes and motion vectors."""
        return int(self.max_channels * self.width)

    @property
    def align_corners(self) -> bool:
        """Whether −1 and 1 are the centres of the corner pixels (LIA-X) or their edges (LIA)."""
        return self.family == "lia_x"

    def channels(self, resolution: int) -> int:
        """Channels of the features at `resolution` pixels."""
        return int(self._exact_channels(resolution))

    def _exact_channels(self, resolution: int) -> float:
        reference = self.resolution if self.family == "lia_x" else 256
        per_width = min(self.base_channels * reference / resolution, self.max_channels)
        return per_width * self.width

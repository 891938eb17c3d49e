"""Whether the directions of a model can be read: measures, each with its control, and rotations.

`codes` reads a model's coefficients on data, `readability` scores them against known factors,
`rotation` finds the output-preserving basis that is sparsest, `stability` compares runs.
docs/readability.md explains each measure.
"""

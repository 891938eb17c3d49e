"""Studies: many small trainings, each measured, and the report that compares them.

`cells` says what a study is, `runner` trains and measures its cells side by side and goes on where
it was stopped, `cell_process` is what one of its processes does, `rows` compares cells, `document`
writes the report. The studies themselves are in configs/studies/.
"""

from liax_jax.studies.cells import Cell, Study

__all__ = ["Cell", "Study"]

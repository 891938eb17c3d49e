"""Runs a study, many small trainings and their measures, and writes its report:

  python study.py configs/studies/interpretability.py --dry-run
  python study.py configs/studies/interpretability.py --hours 6

Stopped by anything, the same command goes on; finished cells are kept. The report, docs/NAME.md
and docs/NAME.json, is written from all that is finished.
"""

import sys

from liax_jax.studies.command import main

if __name__ == "__main__":
    sys.exit(main())

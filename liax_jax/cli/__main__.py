"""`python -m liax_jax.cli` is the `liax` command."""

import sys

from liax_jax.cli import main

sys.exit(main())

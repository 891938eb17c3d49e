"""A trace of some steps, for XProf and Perfetto."""

import re
from pathlib import Path
from typing import Any

import jax

from liax_jax.checkpoint import writing_to
from liax_jax.log import logger


def parse_profile_steps(text: str) -> tuple[int, int] | None:
    """ "10:15" → (10, 15), both included; "" → None.

    Raises:
      ValueError: anything else.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(
            f"profile_steps = {text!r}: give the first and the last step to trace, from 1 on, as "
            "in 10:15"
        )
    return int(match[1]), int(match[2])


class Profiler:
    """Writes `workdir/profile` for the steps of `config.profile_steps`.

    Args:
      profile_steps: as "10:15"; "" for none.
      workdir: of the run.
      enabled: whether this process traces; the first one does.
    """

    def __init__(self, profile_steps: str, workdir: str | Path, enabled: bool):
        self._steps = parse_profile_steps(profile_steps) if enabled else None
        self._folder = Path(workdir) / "profile"
        self._running = False

    def before(self, step: int, last_result: Any) -> None:
        """Begins before the first of the steps, when those before it have ended."""
        if self._steps and step == self._steps[0]:
            jax.block_until_ready(last_result)
            with writing_to(self._folder.parent):
                self._folder.mkdir(exist_ok=True)
            options = jax.profiler.ProfileOptions()
            # Calls of Python functions would fill the trace before the steps are over.
            options.python_tracer_level = 0
            jax.profiler.start_trace(
                self._folder, create_perfetto_trace=True, profiler_options=options
            )
            self._running = True

    def after(self, step: int, result: Any) -> None:
        """Ends after the last of the steps."""
        if self._steps and self._running and step >= self._steps[1]:
            jax.block_until_ready(result)
            self.close()

    def close(self) -> None:
        """Ends and writes the trace, also of fewer steps than asked for."""
        if not self._running:
            return
        self._running = False
        with writing_to(self._folder.parent):
            jax.profiler.stop_trace()
        logger.info("traced steps %d to %d: %s", *(self._steps or (0, 0)), self._folder)

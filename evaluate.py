"""Evaluates a trained animator: python evaluate.py --config configs/demo.py --workdir runs/demo

Self-reenactment of the evaluation split by the newest checkpoint in the workdir; results go to
WORKDIR/eval.
"""

from liax_jax.evaluation_run import evaluate_workdir
from liax_jax.training.command import run_with_config

if __name__ == "__main__":
    run_with_config(evaluate_workdir)

"""The files of the package that a cell's result depends on, as patterns."""

# What a trained model depends on, and what its measures do.
TRAINING = (
    "ops.py",
    "layers.py",
    "losses.py",
    "models/*.py",
    "training/state.py",
    "training/step.py",
    "data/clip_sets.py",
    "data/pipeline.py",
    "data/visits.py",
    "data/procedural/*.py",
)
MEASURING = (
    "evaluation/bootstrap.py",
    "evaluation/scoring.py",
    "evaluation/reenactment.py",
    "evaluation/protocols/self_reenactment.py",
    "evaluation/summary.py",
    "interpretability/codes.py",
    "interpretability/contrasts.py",
    "interpretability/disentanglement.py",
    "interpretability/information.py",
    "interpretability/predictors.py",
    "interpretability/robustness.py",
    "interpretability/rotation.py",
    "interpretability/sparsity.py",
    "metrics/*.py",
    "probe_frames.py",
    "studies/cell_measures.py",
)

"""What the cells of the study of readability share: heads of 32 px that move in seven ways.

  python train.py --config configs/studies/heads.py --workdir runs/heads

Small enough for many seeds, and only with factors that a picture of this size shows: at their
extreme they change 3 (jaw) to 17 (shift) of 255 grey levels per pixel; lids, brows, lips and gaze
change less than 1. Most of the time each factor is at rest, independently of the others.

Cost: 92 ms of one core of an AMD EPYC for a step of 16 pairs.
"""

from ml_collections import ConfigDict

from configs import demo

FACTORS = ("yaw", "pitch", "roll", "shift_x", "shift_y", "scale", "jaw")


def get_config() -> ConfigDict:
    config = demo.get_config()
    config.model.update(
        resolution=32,
        max_channels=256,
        num_blocks=0,
        num_vectors=16,
    )
    config.loss.update(l1_scales=3, sparsity=0.0)
    # All runs see the same people, in an order of their own, drawn by the first of them.
    config.data.procedural.update(
        seed=0,
        num_eval_clips=16,
        distribution="resting",
        moving=FACTORS,
        people="plain",
        keep_in="runs/heads-frames",
    )
    config.batch_size = 16
    config.train_steps = 9000
    config.max_minutes = 0.0
    config.log_every = 100
    config.panel_every = 3000
    config.checkpoint_every = 500
    config.keep_checkpoints = 1
    config.eval.videos = False
    return config

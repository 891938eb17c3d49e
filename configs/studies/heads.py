"""What the cells of the study of readability share: heads of 32 px that move in four ways.

  python train.py --config configs/studies/heads.py --workdir runs/heads

Small enough for many seeds, and easy enough that a code can be readable at all: everybody has one
face, in other colours, and factors change the picture in ways that hardly overlap (the cosine
between the changes that two of them make is 0.24 at most). `OVERLAPPING` has more factors, some of
which move the same pixels the same way (yaw and shift_x 0.57, roll and shift_x 0.69).
Over seven tenths of its range to either side a factor changes 2 (jaw) to 16 (scale) of 255 grey
levels per pixel; lids, brows, lips and gaze 1 or less. Most of the time each is at rest,
independently of the others.

Cost: 85 ms of one core of an AMD EPYC for a step of 16 pairs.
"""

from ml_collections import ConfigDict

from configs import demo

FACTORS = ("yaw", "pitch", "scale", "jaw")
OVERLAPPING = ("yaw", "pitch", "roll", "shift_x", "shift_y", "scale", "jaw")
STEPS, VECTORS = 4500, 8


def get_config() -> ConfigDict:
    config = demo.get_config()
    config.model.update(
        resolution=32,
        max_channels=256,
        num_blocks=0,
        num_vectors=VECTORS,
    )
    config.loss.update(l1_scales=3, sparsity=0.0, sparsity_ramp_steps=STEPS // 6)
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
    config.train_steps = STEPS
    config.max_minutes = 0.0
    config.log_every = 100
    config.panel_every = 3000
    config.checkpoint_every = 500
    config.keep_checkpoints = 1
    config.eval.videos = False
    return config

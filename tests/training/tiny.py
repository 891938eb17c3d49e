"""The smallest run that has every part; a config file for train.py and evaluate.py too."""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.model.update(
        resolution=32, width=1 / 16, num_blocks=1, num_vectors=4, groups=4, flow_init="identity"
    )
    config.loss.update(perceptual=0.0, l1_scales=2)
    config.discriminator.update(width=1 / 64, r1_interval=2)
    for optimizer in (config.generator_optimizer, config.discriminator_optimizer):
        optimizer.warmup_steps = 4
    config.data.kind = "procedural"
    config.data.procedural.update(num_clips=6, num_eval_clips=2, frames_per_clip=6)
    config.batch_size = 8
    config.train_steps = 24
    config.log_every = 1
    config.panel_every = 0
    config.video_every = 0
    config.checkpoint_every = 4
    config.eval.batch_size = 6
    return config

"""Minutes on two cores: LIA-X in small, on portraits that the program draws itself.

python train.py --config configs/demo.py --workdir runs/demo
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.model.update(
        resolution=64,
        width=0.25,
        num_blocks=1,
        num_vectors=20,
        groups=8,
        flow_init="identity",
    )
    config.loss.update(perceptual=0.0, adversarial=0.0, sparsity=0.002, l1_scales=4)
    config.data.kind = "procedural"
    config.generator_optimizer.update(learning_rate=0.006, warmup_steps=50, decay_to=0.1, b1=0.9)
    config.ema_decay = 0.99
    config.batch_size = 8
    config.train_steps = 2600
    config.max_minutes = 15.0
    config.log_every = 20
    config.panel_every = 400
    config.video_every = 0
    config.checkpoint_every = 400
    return config

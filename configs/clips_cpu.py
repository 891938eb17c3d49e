"""A first model of your own clips on two CPU cores: LIA-X in small, 64 px, about an hour.

  liax prepare VIDEOS RECORDS --resolution 64
  python train.py --config configs/clips_cpu.py --config.data.path=RECORDS --workdir runs/clips
  python evaluate.py --config configs/clips_cpu.py --config.data.path=RECORDS --workdir runs/clips

L1 over four scales only: on two cores, pictures per second count for more than further terms.

Expected result: 29.5 dB on eleven training clips (copying the source frame: 24.0), and worse than
copying, 17.1 against 19.8, on three unseen faces: it learns its clips, not faces.
Cost: 60 minutes on two cores, then it stops, saved. The same command goes on for another 60.
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
        base_channels=64,
        flow_init="identity",
    )
    config.loss.update(perceptual=0.0, adversarial=0.0, sparsity=0.002, l1_scales=4)
    config.generator_optimizer.update(learning_rate=0.006, warmup_steps=50, decay_to=0.1, b1=0.9)
    config.batch_size = 16
    config.train_steps = 6000
    config.max_minutes = 62.0
    config.log_every = 20
    config.panel_every = 500
    config.video_every = 1000
    config.checkpoint_every = 500
    return config

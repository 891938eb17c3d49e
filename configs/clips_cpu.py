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

from configs import demo


def get_config() -> ConfigDict:
    config = demo.get_config()  # the same small model and objective
    config.data.kind = "records"
    config.batch_size = 16
    config.ema_decay = 0.999
    config.train_steps = 6000
    config.max_minutes = 62.0
    config.panel_every = 500
    config.video_every = 1000
    config.checkpoint_every = 500
    return config

"""LIA-X large, the released model: 910,571,751 parameters at 512 px, 710,244,574 at 256 px.

  python train.py --config configs/lia_x_large.py --config.data.path=RECORDS \\
      --config.perceptual.weights=VGG19_FILE --workdir runs/lia_x_large

256 px: --config.model.resolution=256 (records of that size).

Expected result: not yet trained by us. Published (paper, Tab. 1, 3, 4; 512 px, self-reenactment):
VoxCelebHQ L1 0.040, SSIM 0.75, PSNR 24.39; TalkingHead-1KH L1 0.035, SSIM 0.80, PSNR 26.07.
At 256 px (size not given): VoxCelebHQ PSNR 24.82, TalkingHead-1KH PSNR 26.26.
Cost: not measured. Parameters, their average and two Adam moments take 14.6 GB in float32, before
any activation. The paper trains on 8 A100 GPUs for a time it doesn't give and accumulates
gradients; how many micro-batches is not published.

Width 2, 4 blocks and 40 vectors are those of the released weights.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.model.update(resolution=512, width=2.0, num_blocks=4, num_vectors=40)
    config.accumulation_steps = 4
    return config

"""LIA-X middle, ≈ 0.3 B parameters: 314,565,661 at 512 px, 244,539,412 at 256 px.

  python train.py --config configs/lia_x_middle.py --config.data.path=RECORDS \\
      --config.perceptual.weights=VGG19_FILE --workdir runs/lia_x_middle

256 px: --config.model.resolution=256 (records of that size).

Expected result: not yet trained by us. Published (paper, Tab. 3, 4; 512 px, self-reenactment):
VoxCelebHQ L1 0.040, SSIM 0.74, PSNR 24.31; TalkingHead-1KH L1 0.035, SSIM 0.79, PSNR 25.84.
Cost: not measured. The paper trains on 8 A100 GPUs for a time it doesn't give, and accumulates
gradients for its larger sizes; how many micro-batches is not published either.

The paper says that its sizes differ in width s, blocks N and vectors M, and publishes none of them;
s and N are chosen to meet its parameter count, M lies between the base's and the large one's.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.model.update(resolution=512, width=1.0, num_blocks=6, num_vectors=30)
    config.accumulation_steps = 2
    return config

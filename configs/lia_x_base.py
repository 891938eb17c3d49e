"""LIA-X base, ≈ 0.05 B parameters: 46,103,187 at 512 px, 36,066,186 at 256 px.

  python train.py --config configs/lia_x_base.py --config.data.path=RECORDS \\
      --config.perceptual.weights=VGG19_FILE --workdir runs/lia_x_base

256 px: --config.model.resolution=256 (records of that size).

Expected result: not yet trained by us. Published (paper, Tab. 3, 4; 512 px, self-reenactment):
VoxCelebHQ L1 0.043, SSIM 0.72, PSNR 23.62; TalkingHead-1KH L1 0.042, SSIM 0.77, PSNR 24.98.
Cost: not measured. LIA, of this size at 256 px, is reported to take six days on 8 V100 GPUs.

The paper says that its sizes differ in width s, blocks N and vectors M, and publishes none of them;
s and N are chosen to meet its parameter count, M is LIA's.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.model.update(resolution=512, width=0.5, num_blocks=3, num_vectors=20)
    return config

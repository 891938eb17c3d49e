"""LIA, the dense predecessor and the baseline: 45,114,762 parameters at 256 px.

  python train.py --config configs/lia.py --config.data.path=RECORDS \\
      --config.perceptual.weights=VGG19_FILE --workdir runs/lia

The model of LIA (no residual blocks, no sparsity, 20 vectors) under our default objective, so that
a comparison with LIA-X changes the model alone. `configs/lia_recipe.py` trains it as published.

Expected result: not yet trained by us. Published (LIA-X paper, Tab. 1; LIA at 512 px,
self-reenactment): VoxCelebHQ L1 0.052, SSIM 0.68, PSNR 22.14; TalkingHead-1KH PSNR 23.37.
Cost: not measured; six days on 8 V100 GPUs are reported for the published recipe.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    config = default.get_config()
    config.model.update(family="lia", resolution=256, width=1.0, num_vectors=20)
    config.loss.sparsity = 0.0
    return config

"""LIA as its authors' published trainer trains it, hyperparameter by hyperparameter.

  python train.py --config configs/lia_recipe.py --config.data.path=RECORDS \\
      --config.perceptual.weights=VGG19_FILE --workdir runs/lia_recipe

L1, VGG19 and adversarial terms of weight 1 (eq. 5; VGG with a factor of 10 per layer), and none of
what our default adds: no R1, no moving average, no warm-up, no clipping, no mirroring. For the
objective on LIA-X, add --config.model.family=lia_x and its sizes, and set loss.sparsity.

Expected result: not yet trained by us, and LIA's own figure at 256 px isn't in the LIA-X paper.
Cost: not measured; people who trained it report six days on 8 V100 GPUs, a discriminator that wins
early, and eyes that are learnt late.
"""

from ml_collections import ConfigDict

from configs import lia

# LIA corrects Adam's rate and momenta for lazy regularisation every 4 (generator) and 16
# (discriminator) steps, as StyleGAN2 does, though it applies no regulariser.
_RATE, _B2 = 0.002, 0.99
_GENERATOR_CORRECTION = 4 / 5
_DISCRIMINATOR_CORRECTION = 16 / 17


def get_config() -> ConfigDict:
    config = lia.get_config()
    config.loss.update(l1=1.0, perceptual=1.0, adversarial=1.0, sparsity=0.0, l1_scales=1)
    config.perceptual.update(layer_weights=(10.0, 10.0, 10.0, 10.0, 10.0), scales=(1, 2, 4, 8))
    config.discriminator.update(width=1.0, stddev_group=4, r1_weight=0.0)
    for optimizer, correction in (
        (config.generator_optimizer, _GENERATOR_CORRECTION),
        (config.discriminator_optimizer, _DISCRIMINATOR_CORRECTION),
    ):
        optimizer.update(
            learning_rate=_RATE * correction,
            b1=0.0,
            b2=_B2**correction,
            warmup_steps=0,
            decay_to=1.0,
            clip_norm=0.0,
        )
    config.ema_decay = 0.0
    config.data.flip = False
    config.batch_size = 64
    config.train_steps = 800_000
    return config

"""Everything a training run has to remember."""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from liax_jax.models import AnimatorModule, Discriminator, ModelConfig

Params = Any


@flax.struct.dataclass
class NetworkState:
    """One trained network."""

    params: Params
    opt_state: optax.OptState
    ema: Params | None  # exponential moving average of the parameters; None where there is none


@flax.struct.dataclass
class TrainState:
    """A run between two steps. The randomness and the data of a step follow from `step` alone."""

    step: jax.Array  # int32, steps done
    generator: NetworkState
    discriminator: NetworkState | None  # None without an adversarial term
    skipped: jax.Array  # int32, updates skipped for gradients that were not finite
    skipped_in_row: jax.Array  # int32, of those, the latest unbroken run


def model_config(config: ConfigDict) -> ModelConfig:
    """The animator's hyperparameters of a run's config."""
    return ModelConfig(**config.model.to_dict())


def build_networks(config: ConfigDict) -> tuple[AnimatorModule, Discriminator | None]:
    """The modules of a run; the discriminator is None without an adversarial term."""
    animator = AnimatorModule(model_config(config))
    if not config.loss.adversarial:
        return animator, None
    fields = config.discriminator
    return animator, Discriminator(fields.width, fields.stddev_group, config.model.dtype)


def build_optimizer(fields: ConfigDict, train_steps: int) -> optax.GradientTransformation:
    """Adam with optional global-norm clipping, linear warm-up and cosine decay."""
    rate = fields.learning_rate
    if fields.decay_to < 1:
        schedule = optax.cosine_decay_schedule(
            rate, max(1, train_steps - fields.warmup_steps), alpha=fields.decay_to
        )
    else:
        schedule = optax.constant_schedule(rate)
    if fields.warmup_steps:
        # From the first step on, not from zero: a step at rate 0 would be a step lost.
        start = rate / fields.warmup_steps
        warmup = optax.linear_schedule(start, rate, fields.warmup_steps)
        schedule = optax.join_schedules([warmup, schedule], [fields.warmup_steps])
    adam = optax.adam(schedule, b1=fields.b1, b2=fields.b2, eps=fields.eps)
    if fields.clip_norm:
        return optax.chain(optax.clip_by_global_norm(fields.clip_norm), adam)
    return optax.chain(adam)


def create_train_state(config: ConfigDict) -> TrainState:
    """Fresh parameters and optimiser states; a pure function of the config, safe under jit."""
    animator, discriminator = build_networks(config)
    generator_key, discriminator_key = jax.random.split(jax.random.key(config.seed))
    picture = jnp.zeros((1, config.model.resolution, config.model.resolution, 3))

    def network(params: Params, optimizer_fields: ConfigDict, ema: bool) -> NetworkState:
        optimizer = build_optimizer(optimizer_fields, config.train_steps)
        average = jax.tree.map(jnp.copy, params) if ema else None
        return NetworkState(params, optimizer.init(params), average)

    params = animator.init(generator_key, picture, picture)["params"]
    generator = network(params, config.generator_optimizer, ema=config.ema_decay > 0)
    discriminator_state = None
    if discriminator is not None:
        params = discriminator.init(discriminator_key, picture)["params"]
        discriminator_state = network(params, config.discriminator_optimizer, ema=False)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        discriminator=discriminator_state,
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_row=jnp.zeros((), jnp.int32),
    )

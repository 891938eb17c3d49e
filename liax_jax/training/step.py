"""One training step: a pure function (state, batch) → (state, metrics)."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from liax_jax import losses
from liax_jax.metrics import coefficients
from liax_jax.metrics.psnr import peak_signal_to_noise_ratio
from liax_jax.models import AnimatorModule, Discriminator
from liax_jax.training import sharding
from liax_jax.training.flops import program_flops
from liax_jax.training.state import (
    NetworkState,
    Params,
    TrainState,
    build_networks,
    build_optimizer,
)

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def jit_train_step(
    config: ConfigDict, mesh: Mesh, like: TrainState, compiler_options: dict[str, Any] | None = None
) -> Any:
    """The compiled step of a run: (state, batch, frozen) → (state, metrics), state donated.

    Args:
      config: of the run.
      mesh: the devices.
      like: shapes and shardings of the state, of `sharding.place`.
      compiler_options: XLA's, for this program.
    """
    state_shardings = jax.tree.map(lambda x: x.sharding, like)
    everywhere = sharding.replicated(mesh)
    return jax.jit(
        make_train_step(config, mesh),
        in_shardings=(state_shardings, sharding.batch_sharding(mesh), everywhere),
        out_shardings=(state_shardings, everywhere),
        donate_argnums=0,
        compiler_options=compiler_options,
    )


def make_train_step(
    config: ConfigDict, mesh: Mesh | None = None
) -> Callable[[TrainState, Batch, Any], tuple[TrainState, Metrics]]:
    """Builds the step of a run's config, ready for `jax.jit`; `mesh` None is one device.

    The step takes the state, a batch {"source", "driving"} of (b, R, R, 3) uint8, and the frozen
    parameters of the perceptual network (None without that term). It makes one generator and one
    discriminator update from the same forward pass, as LIA's trainer does, and returns the new
    state and a dict of float32 scalars. Randomness is folded from the step number.
    """
    animator, discriminator = build_networks(config)
    optimizers = {
        "generator": build_optimizer(config.generator_optimizer, config.train_steps),
        "discriminator": build_optimizer(config.discriminator_optimizer, config.train_steps),
    }

    def train_step(state: TrainState, batch: Batch, frozen: Any) -> tuple[TrainState, Metrics]:
        batch = prepare_batch(batch, config, state.step)
        batch = _with_code_noise(batch, config, state.step)
        trained = {
            name: getattr(state, name).params
            for name in optimizers
            if getattr(state, name) is not None
        }
        devices = sharding.Devices(mesh, trained)
        of_device = functools.partial(_device_gradients, config, animator, discriminator, devices)
        gradients, metrics = devices.run(of_device, trained, batch, (state.step, frozen))
        norms = {name: optax.tree.norm(gradient) for name, gradient in gradients.items()}
        metrics |= {f"gradient_norm/{name}": norm for name, norm in norms.items()}
        finite = jnp.all(jnp.isfinite(jnp.stack(list(norms.values()))))
        networks = {
            name: _update(
                getattr(state, name),
                gradient,
                optimizers[name],
                config.ema_decay,
                state.step,
                finite,
            )
            for name, gradient in gradients.items()
        }
        state = dataclasses.replace(
            state,
            step=state.step + 1,
            skipped=state.skipped + jnp.where(finite, 0, 1),
            skipped_in_row=jnp.where(finite, 0, state.skipped_in_row + 1),
            **networks,
        )
        metrics |= {"skipped": state.skipped, "skipped_in_row": state.skipped_in_row}
        return state, {name: value.astype(jnp.float32) for name, value in metrics.items()}

    return train_step


def model_flops(config: ConfigDict, program: Any, arguments: tuple[Any, ...]) -> float:
    """Operations of a step that its result needs, over all devices: those MFU is defined by.

    What rematerialisation computes a second time is none of them (Chowdhery et al. 2022, PaLM,
    appendix B), so with it the step is traced once more, without.

    Args:
      config: of the run.
      program: the step's jaxpr.
      arguments: of the step; their shapes count.
    """
    if config.model.remat == "none":
        return program_flops(program)
    plain = config.copy_and_resolve_references()
    plain.model.remat = "none"
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), arguments)
    return program_flops(jax.make_jaxpr(make_train_step(plain))(*shapes).jaxpr)


def prepare_batch(batch: Batch, config: ConfigDict, step: jax.Array | int) -> Batch:
    """What the step does to the pictures first: to float32 in [-1, 1], mirrored now and then."""
    return _augment(_to_float(batch), config, step)


def _with_code_noise(batch: Batch, config: ConfigDict, step: jax.Array | int) -> Batch:
    """The noise on α beside the pictures; drawn for the whole batch, whatever the mesh."""
    size = config.loss.get("code_noise", 0.0)
    if not size:
        return batch
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(config.seed), step), 1)
    shape = (batch["driving"].shape[0], config.model.num_vectors)
    return dict(batch, code_noise=size * jax.random.normal(key, shape))


def _to_float(batch: Batch) -> Batch:
    """uint8 [0, 255] → float32 [-1, 1]; floating-point pictures pass."""
    return {
        name: x.astype(jnp.float32) / 127.5 - 1 if x.dtype == jnp.uint8 else x
        for name, x in batch.items()
    }


def _augment(batch: Batch, config: ConfigDict, step: jax.Array | int) -> Batch:
    """Mirrors source and driving together, half of the time."""
    if not config.data.flip:
        return batch
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    flip = jax.random.bernoulli(key, 0.5, (batch["source"].shape[0], 1, 1, 1))
    return {name: jnp.where(flip, x[:, :, ::-1], x) for name, x in batch.items()}


def _device_gradients(
    config: ConfigDict,
    animator: AnimatorModule,
    discriminator: Discriminator | None,
    devices: sharding.Devices,
    trained: dict[str, Params],
    batch: Batch,
    others: tuple[jax.Array, Any],
) -> tuple[dict[str, Params], Metrics]:
    """Gradients and metrics of the whole batch, from a device's shards and its examples.

    What moves between devices is written here, and nothing else does: parameters are gathered once
    a step, gradients added up into shards once a micro-batch, metrics averaged, and the groups of
    the minibatch standard deviation formed over devices.
    """
    step, frozen = others
    params = devices.gather(trained, config.model.dtype)
    if discriminator is not None:
        discriminator = discriminator.clone(batch_axes=devices.batch_axes)

    def gradients_of(micro_batch: Batch):
        gradients, metrics = _gradients(
            config, animator, discriminator, params, step, micro_batch, frozen, devices.batch_axes
        )
        return devices.scatter(gradients), devices.mean(metrics)

    return _accumulate(gradients_of, batch, config.accumulation_steps)


def _accumulate(gradients_of: Callable, batch: Batch, count: int):
    """Mean of gradients and metrics over `count` micro-batches, one at a time."""
    if count == 1:
        return gradients_of(batch)

    def split(x):
        # Every micro-batch takes an example from each stretch of `count`, on any number of devices.
        return x.reshape(x.shape[0] // count, count, *x.shape[1:]).swapaxes(0, 1)

    micro_batches = jax.tree.map(split, batch)
    shapes = jax.eval_shape(gradients_of, jax.tree.map(lambda x: x[0], micro_batches))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def add(total, micro_batch):
        return jax.tree.map(jnp.add, total, gradients_of(micro_batch)), None

    total, _ = jax.lax.scan(add, zeros, micro_batches)
    return jax.tree.map(lambda x: x / count, total)


def _gradients(
    config: ConfigDict,
    animator: AnimatorModule,
    discriminator: Discriminator | None,
    params: dict[str, Params],
    step: jax.Array,
    batch: Batch,
    frozen: Any,
    batch_axes: tuple[str, ...],
) -> tuple[dict[str, Params], Metrics]:
    """Gradients of both networks by name, and metrics, from one forward pass of the generator."""
    driving = batch["driving"]
    score = None
    if discriminator is not None and "discriminator" in params:
        score = functools.partial(discriminator.apply, {"params": params["discriminator"]})
    generator_gradient = jax.grad(_generator_loss, has_aux=True)
    gradient, (image, out, metrics) = generator_gradient(
        params["generator"], config, animator, score, step, batch, frozen, batch_axes
    )
    gradients = {"generator": gradient}
    metrics |= _model_metrics(image, out, driving)
    if discriminator is not None and "discriminator" in params:
        discriminator_gradient = jax.grad(_discriminator_loss, has_aux=True)
        gradient, more = discriminator_gradient(
            params["discriminator"], discriminator, image, driving
        )
        metrics |= more
        if config.discriminator.r1_weight:
            metrics["loss/r1"], of_penalty = _lazy_r1(
                params["discriminator"], config, discriminator, step, driving
            )
            gradient = jax.tree.map(jnp.add, gradient, of_penalty)
        gradients["discriminator"] = gradient
    return gradients, metrics


def _generator_loss(
    params: Params,
    config: ConfigDict,
    animator: AnimatorModule,
    score: Callable[[jax.Array], Any] | None,
    step: jax.Array,
    batch: Batch,
    frozen: Any,
    batch_axes: tuple[str, ...],
):
    """ℒ = L1 + λ₁·VGG + ℒ_adv + λ₂·S(𝒜_{r→d}) (eq. 9); each term reported as `loss/name`.

    `score` is the discriminator's, of images; None without one.
    """
    driving = batch["driving"]
    image, out = animator.apply(
        {"params": params}, batch["source"], driving, batch.get("code_noise")
    )
    weights, terms = losses.weights_at(config.loss, step), {}
    terms["l1"] = losses.multiscale_l1(image, driving, config.loss.l1_scales)
    terms["sparsity"] = losses.sparsity_penalty(
        out["alpha_r2t"],
        out["alpha_r2s"],
        config.loss.sparsity_penalty,
        config.loss.sparsity_top_k,
        batch_axes,
    )
    if config.loss.source_code:
        directions: Any = animator.apply({"params": params}, method="directions")
        terms["source_code"] = losses.source_code(out["z_s2r"], directions)
    if config.loss.perceptual:
        terms["perceptual"] = losses.perceptual_distance(
            frozen, image, driving, config.perceptual.scales, config.perceptual.layer_weights
        )
    if score is not None:
        terms["adversarial"] = losses.adversarial_generator(score(image))
    total, means = losses.weighted_total(terms, weights)
    metrics = {"loss/total": total} | {f"loss/{name}": mean for name, mean in means.items()}
    return total, (image, out, metrics)


def _discriminator_loss(
    params: Params, discriminator: Discriminator, fake: jax.Array, real: jax.Array
):
    """softplus(D(x̂)) + softplus(−D(x_d))."""

    def score(x):
        return discriminator.apply({"params": params}, x)

    fake_logits, real_logits = score(jax.lax.stop_gradient(fake)), score(real)
    total = losses.adversarial_discriminator(fake_logits, real_logits).mean()
    return total, {
        "loss/discriminator": total,
        "discriminator/real": real_logits.mean(),
        "discriminator/fake": fake_logits.mean(),
    }


def _lazy_r1(
    params: Params,
    config: ConfigDict,
    discriminator: Discriminator,
    step: jax.Array,
    real: jax.Array,
) -> tuple[jax.Array, Params]:
    """Lazy R1, γ/2·‖∇D‖²·interval every n-th step: the penalty and its gradient, else zeros.

    The gradient is taken inside of the conditional: one taken through it would keep the
    discriminator's activations from one conditional to the next, in every step.
    """
    fields = config.discriminator

    def penalty(params):
        def score(x):
            return discriminator.apply({"params": params}, x)

        mean = losses.r1_penalty(score, real).mean()
        return fields.r1_weight / 2 * fields.r1_interval * mean, mean

    def due():
        (_, mean), gradient = jax.value_and_grad(penalty, has_aux=True)(params)
        return mean, gradient

    def not_due():
        return jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)

    return jax.lax.cond(step % fields.r1_interval == 0, due, not_due)


def _model_metrics(image: jax.Array, out: dict[str, jax.Array], driving: jax.Array) -> Metrics:
    """What a person wants to see of a step, beside the losses."""
    alpha, finest = out["alpha_r2t"], image.shape[1]
    offset = jnp.tanh(out[f"flow/{finest}"][..., :2])

    def unit(x):  # [-1, 1] → [0, 1]
        return (jnp.clip(x, -1, 1) + 1) / 2

    return {
        "psnr": peak_signal_to_noise_ratio(unit(image), unit(driving)).mean(),
        "alpha/mean_abs": jnp.abs(alpha).mean(),
        "alpha/gini": coefficients.gini(alpha).mean(),
        "alpha/active_vectors": coefficients.active_vectors(alpha).mean(dtype=jnp.float32),
        "alpha/effective_vectors": coefficients.effective_vectors(alpha).mean(),
        # In pixels: the grid's unit is half the picture.
        "flow/mean_pixels": jnp.linalg.norm(offset, axis=-1).mean() * finest / 2,
        "mask/mean": out[f"mask/{finest}"].mean(),
    }


def _update(
    network: NetworkState,
    gradient: Params,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
    step: jax.Array,
    finite: jax.Array,
) -> NetworkState:
    """Gradients → optimiser → moving average, for either network; unchanged where not finite."""
    updates, opt_state = optimizer.update(gradient, network.opt_state, network.params)
    params = optax.apply_updates(network.params, updates)
    ema = network.ema
    if ema is not None:
        # Ramped up, so that the first steps don't average with the initialisation.
        done = step.astype(jnp.float32)
        decay = jnp.minimum(ema_decay, (1 + done) / (10 + done))
        ema = optax.incremental_update(params, ema, 1 - decay)
    updated = NetworkState(params, opt_state, ema)
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), updated, network)

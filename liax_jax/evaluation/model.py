"""The model that is evaluated: from a workdir of training, or from any model file."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from liax_jax.checkpoint import abstract_state, check_same_model, restore_params
from liax_jax.directions import CARD_NAME, DirectionCard, read_card
from liax_jax.evaluation.reenactment import ReenactmentFns, make_reenactment_fns
from liax_jax.model_files import load_model
from liax_jax.model_record import fingerprint
from liax_jax.models import AnimatorModule, ModelConfig
from liax_jax.training.state import build_networks, create_train_state


@dataclasses.dataclass(frozen=True)
class EvaluatedModel:
    """A model, ready to be evaluated.

    Attributes:
      config: its hyperparameters.
      module, params: the network.
      card: what its directions are called.
      description: what results say of it, and depend on.
    """

    config: ModelConfig
    module: AnimatorModule
    params: Any
    card: DirectionCard
    description: dict[str, Any]

    @property
    def fns(self) -> ReenactmentFns:
        return make_reenactment_fns(self.module, self.params)


def load_checkpoint(path: str | os.PathLike[str]) -> EvaluatedModel:
    """Any model that the `liax` commands take.

    Raises:
      FileNotFoundError, ValueError: nothing there, or not a model.
    """
    record, params = load_model(path)
    module = AnimatorModule(record.config)
    description = _describe(record.config, params, record.step, record.origin)
    params = jax.tree.map(jax.numpy.asarray, params)
    return EvaluatedModel(record.config, module, params, record.card, description)


def load_workdir(config: ConfigDict, workdir: pathlib.Path) -> EvaluatedModel:
    """The newest checkpoint of a training run, as its config says.

    Raises:
      FileNotFoundError: there is none.
      WorkdirError: the run is of another model.
    """
    check_same_model(config, workdir)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = abstract_state(jax.eval_shape(lambda: create_train_state(config)), device)
    params, step = restore_params(workdir, like, config.eval.use_ema)
    module, _ = build_networks(config)
    path = workdir / CARD_NAME
    card = read_card(path) if path.exists() else DirectionCard(module.config.num_vectors)
    averaged = config.eval.use_ema and config.ema_decay > 0
    origin = f"trained in {workdir.absolute().name}" + (", averaged parameters" * averaged)
    description = _describe(module.config, params, step, origin)
    return EvaluatedModel(module.config, module, params, card, description)


def _describe(config: ModelConfig, params: Any, step: int | None, origin: str) -> dict[str, Any]:
    flat = traverse_util.flatten_dict(params, sep="/")
    return {
        "fingerprint": fingerprint(config, params),  # as `liax info` says it
        "parameters_sha256": params_digest(flat),
        "origin": origin,
        "step": step,
        "parameters": sum(int(np.prod(value.shape)) for value in flat.values()),
        "dtype": config.dtype,
    }


def params_digest(flat: dict[str, Any]) -> str:
    """16 hexadecimal digits of the SHA-256 over all parameters, by name."""
    total = hashlib.sha256()
    for name in sorted(flat):
        total.update(name.encode())
        total.update(np.ascontiguousarray(flat[name], "<f4").data)
    return total.hexdigest()[:16]

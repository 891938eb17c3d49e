"""Agreement with numbers that the published LIA-X and LIA generators produced.

The fixtures hold no weights and no pictures: both are drawn from seeds by the recipe below, which
was used when the original code was run on float32 CPU to record the arrays.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.animation.animator import load
from liax_jax.convert import from_torch_state_dict
from liax_jax.directions import DirectionCard
from liax_jax.model_files import ModelRecord, fingerprint, save_model
from liax_jax.models import AnimatorModule

FIXTURES = Path(__file__).parent / "fixtures" / "parity"
TOLERANCE = 1e-4


def seeded_state(spec) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(spec["seed"])
    state = {}
    for key, shape in spec["keys"]:
        if key.endswith(".kernel"):
            state[key] = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
            continue
        a = rng.standard_normal(shape, dtype=np.float32)
        if key.endswith("gamma"):
            a = 0.3 * a
        elif key.endswith(("modulation.bias", "norm.weight")):
            a = 1 + 0.1 * a
        elif (
            key.endswith("bias")
            or (".flow" in key or ".to_flows." in key)
            and key.endswith("conv.weight")
        ):
            a = 0.1 * a
        state[key] = a.astype(np.float32)
    return state


def seeded_images(seed: int, count: int, resolution: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    line = np.linspace(0, 1, resolution)
    y, x = np.meshgrid(line, line, indexing="ij")
    images = np.zeros((count, resolution, resolution, 3))
    for image in images:
        for channel in range(3):
            for _ in range(6):
                fx, fy = rng.uniform(-12, 12), rng.uniform(-12, 12)
                phase, amplitude = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1)
                image[..., channel] += amplitude * np.sin(2 * np.pi * (fx * x + fy * y) + phase)
    return np.clip(images / 3, -1, 1).astype(np.float32)


def relative_error(ours, reference) -> float:
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    assert ours.shape == reference.shape
    return np.abs(ours - reference).max() / np.abs(reference).max()


def sample_std(a) -> float:
    return np.std(a, ddof=1)


def statistics(arrays, *functions) -> np.ndarray:
    return np.array([[f(np.asarray(a, np.float64)) for f in functions] for a in arrays])


def import_record(config, params):
    record = ModelRecord(
        config=config,
        card=DirectionCard(config.num_vectors),
        step=None,
        origin="seeded weights",
        license="",
        fingerprint=fingerprint(config, params),
    )
    return record, params


@pytest.mark.parametrize("name", ["liax_512_half_width", "lia_256"])
def test_every_recorded_array_agrees_with_the_published_generator(name, tmp_path):
    spec = json.loads((FIXTURES / f"{name}.json").read_text())
    recorded = np.load(FIXTURES / f"{name}.npz")
    config, params = from_torch_state_dict(seeded_state(spec))
    animator = AnimatorModule(config)
    encode = jax.jit(lambda p, x: animator.apply({"params": p}, x, method="encode"))
    directions = jax.jit(lambda p: animator.apply({"params": p}, method="directions"))

    @jax.jit
    def decode(p, z, alpha, features):
        code = animator.apply({"params": p}, z, alpha, method="navigate")
        return animator.apply({"params": p}, code, features, method="decode")

    source = seeded_images(spec["source_seed"], 1, config.resolution)
    driving = seeded_images(spec["driving_seed"], 3, config.resolution)
    ours = {
        "source_image_stride16": source[:, ::16, ::16],
        "driving_images_stride16": driving[:, ::16, ::16],
        "directions": directions(params),
    }
    z, features, alpha_s = encode(params, source)
    alpha_t = jnp.concatenate([encode(params, frame[None])[2] for frame in driving])
    image, out = decode(params, z, alpha_s, features)
    lia_x = config.family == "lia_x"
    ours |= {
        "source_z_s2r": z,
        "source_alpha": alpha_s,
        "driving_alpha": alpha_t,
        "reconstruction": image[:, ::4, ::4] if lia_x else image[:, ::2, ::2],
    }
    # Edits and animation go through the programmatic interface, from the same weights as a file.
    save_model(tmp_path / "model", *import_record(config, params))
    api = load(tmp_path / "model")
    edited = api.encode(source[0])
    if lia_x:
        edits = dict(zip(spec["motion_ids"], spec["motion_values"], strict=True))
        edited = api.edit(edited, edits)
        flows = [out[f"flow/{r}"] for r in config.levels]
        ours |= {
            "feature_mean_std": statistics(features.values(), np.mean, sample_std),
            "flow_levels_mean_std_absmax": statistics(
                flows, np.mean, sample_std, lambda a: np.abs(a).max()
            ),
            "flow_64": out["flow/64"],
            "edited": api.render(edited)[:, ::4, ::4],
        }
    # One by one: the animation's program is the editing's, and is compiled once.
    coefficients = np.asarray(alpha_t)
    frames = [api.animate(edited, a, reference=coefficients[0]) for a in coefficients]
    stride = 8 if lia_x else 4
    ours["animated"] = jnp.concatenate(frames)[:, ::stride, ::stride]

    errors = {key: relative_error(ours[key], recorded[key]) for key in recorded}
    print({key: f"{error:.1e}" for key, error in errors.items()})
    assert max(errors.values()) <= TOLERANCE, errors

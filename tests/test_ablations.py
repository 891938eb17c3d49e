"""Every ablation differs from its base in the fields that it names, and in no other."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from configs import default
from liax_jax.training.loop import check_config

FOLDER = Path(__file__).parent.parent / "configs" / "ablations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def flattened(config, prefix=""):
    fields = {}
    for name, value in config.items():
        if hasattr(value, "items"):
            fields |= flattened(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = value
    return fields


@pytest.mark.parametrize("name", NAMES)
def test_an_ablation_is_the_delta_that_it_says(name):
    module = importlib.import_module(f"configs.ablations.{name}")
    config = module.get_config()
    base = flattened(default.get_config())
    ours = flattened(config)
    assert ours.keys() == base.keys()
    said = dict(re.findall(r"([a-z_]+\.[a-z_0-9]+) = (\S+?)[,.](?:\s|$)", module.__doc__))
    changed = {field: value for field, value in ours.items() if value != base[field]}
    assert changed and changed == {field: ast.literal_eval(text) for field, text in said.items()}
    assert "?" in module.__doc__.splitlines()[0]
    config.perceptual.weights = "random"
    check_config(config)


def test_the_table_lists_them_all():
    listed = re.findall(r"^\| `(\w+)\.py` \| (.*?) \|", (FOLDER / "README.md").read_text(), re.M)
    assert sorted(name for name, _ in listed) == NAMES
    for name, question in listed:
        assert (
            question == importlib.import_module(f"configs.ablations.{name}").__doc__.split("\n")[0]
        )
    fields = {"loss.sparsity", "model.num_vectors", "model.num_blocks", "model.use_mask"}
    text = "".join((FOLDER / f"{name}.py").read_text() for name in NAMES)
    fields |= {"model.family", "loss.sparsity_penalty", "loss.source_code"}
    assert all(field in text for field in fields)

"""Cells trained for a few steps: killed and gone on with, measured, and reported on."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np

from liax_jax import runtime
from liax_jax.data.clip_sets import build_clips
from liax_jax.interpretability.disentanglement import measure_disentanglement
from liax_jax.interpretability.sparsity import measure_sparsity
from liax_jax.studies import Study
from liax_jax.studies.cell_measures import KIND, read_codes
from liax_jax.studies.cells import REQUEST_NAME, RUN_NAME
from liax_jax.studies.interpretability_report import describe_cell, write_interpretability
from liax_jax.studies.runner import cell_command, run_study


def wait_for(condition, process):
    deadline = time.monotonic() + 900
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def saved(workdir):
    return any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))


def test_cells_from_training_to_report(tiny_cell, small_probe, tmp_path, request, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # one device, as outside of the tests
    options = {"probe": small_probe, "steps": 40}
    dense = tiny_cell("dense-0", row="dense", rotations=("l1", "l1 of frames"), **options)
    sparse = tiny_cell("sparse-0", row="sparse", loss__sparsity=0.1, **options)
    broken = tiny_cell("broken-0", row="broken", data__procedural__num_clips=0)
    root = tmp_path / "work"
    study = Study("interpretability", (dense, sparse, broken), write_interpretability)

    # Killed without a warning in the midst of its training.
    folder = dense.folder(root)
    folder.mkdir(parents=True)
    (folder / REQUEST_NAME).write_text(json.dumps(dense.request()))
    cache = {"JAX_COMPILATION_CACHE_DIR": str(root / "compiled")}
    cache["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    process = subprocess.Popen(
        cell_command(folder), env={**cache, **os.environ, **runtime.one_thread()}
    )
    wait_for(lambda: saved(folder / RUN_NAME), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert dense.result(root) is None

    said = []
    failed = run_study(
        study, root, describe=lambda r: said.append(describe_cell(r)) or "", progress=False
    )
    assert failed == ["broken-0"]
    assert "num_clips must be at least 1" in (broken.folder(root) / "log.txt").read_text()
    assert "going on from step" in (folder / "log.txt").read_text()
    assert len(said) == 2 and all("dB (copy" in text and "DCI-D" in text for text in said)

    eval_clips = build_clips(dense.config.data, dense.config.model.resolution, "eval")
    result = dense.result(root)
    assert result["steps"] == 40 and result["seed"] == 0 and result["pairs"] == 80
    assert result["curve"]["step"][-1] == 40 and result["parameters"] > 1000
    assert result["reconstruction"]["mean"]["psnr"] > 5
    assert result["reconstruction"]["floors"]["copy_source"]["psnr"] > 5
    pooled = result["reconstruction"]["pooled_psnr"]
    # By the convexity of -log the mean of ratios is never below the ratio of the mean.
    assert 5 < pooled["mean"] <= result["reconstruction"]["mean"]["psnr"]
    frames = [np.stack(list(eval_clips.frames(clip))) / 255 for clip in range(len(eval_clips))]
    errors = [np.mean((clip - clip[:1]) ** 2) for clip in frames]
    np.testing.assert_allclose(pooled["copy_source"], -10 * np.log10(np.mean(errors)), rtol=1e-9)
    codes = read_codes(folder)
    assert codes.alpha.shape == (8 * 6, 3) and codes.factor_names == ("yaw", "shift_x")
    again = measure_disentanglement(
        codes.of_kind(KIND), regressors=("ridge",), rotations=2, bootstrap=2, jobs=1
    ).to_json()
    score = result["readability"][KIND]["scores"]["ridge/disentanglement"]
    np.testing.assert_allclose(score["value"], again["scores"]["ridge/disentanglement"]["value"])
    turns = [np.array(result["rotated"][name]["matrix"]) for name in ("l1", "l1 of frames")]
    for turn in turns:
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.abs(turns[0] - turns[1]).max() > 1e-3
    rotated = result["rotated"]["l1"]
    assert rotated["mean_abs"]["after"] <= rotated["mean_abs"]["before"]
    assert rotated["sparsity"]["values"]["gini"] > 0
    # Turned by the same matrix: the spread of the codes that were saved.
    turned = codes.of_kind(KIND).alpha @ turns[0]
    again = measure_sparsity(turned, rotations=2).to_json()
    np.testing.assert_allclose(
        rotated["sparsity"][KIND]["values"]["gini"], again["values"]["gini"], rtol=1e-5
    )

    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("interpretability.md", "interpretability_scores.md"):
        shutil.copy(request.config.rootpath / "docs" / name, docs)
    study.write_report(study, study.results(root), root, docs)
    text = (docs / "interpretability.md").read_text()
    assert "| dense, rotated (l1) | 0.0 | 3 | 40 | 1 |" in text and "Not finished: broken-0" in text
    rows = json.loads((docs / "interpretability.json").read_text())["rows"]
    assert [row["name"] for row in rows] == [
        "dense",
        "dense, rotated (l1)",
        "dense, rotated (l1 of frames)",
        "sparse",
    ]
    assert rows[3]["settings"]["lambda2"] == 0.1 and rows[0]["settings"]["penalty"] == "none"
    pictures = {path.name for path in (docs / "interpretability").iterdir()}
    assert {"rows.png", "curves.png", "coefficients.png", "examples.png"} <= pictures

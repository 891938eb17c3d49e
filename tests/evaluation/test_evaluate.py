"""evaluate.py: model files and workdirs, data on disk, other systems' frames, wrong flags."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.video_io import read_video, write_video
from liax_jax.evaluation import EvaluationError
from liax_jax.evaluation.command import evaluate
from liax_jax.evaluation.compare import compare
from liax_jax.evaluation.errors import ClipsFailed
from liax_jax.evaluation.options import EvaluateOptions

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"batch_size": 4, "progress": False, "metrics": ("l1", "psnr", "ssim")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, save_tiny_model):
    path = tmp_path_factory.mktemp("evaluate")
    save_tiny_model(path / "model")
    clips = ProceduralClips(32, 3, frames_per_clip=5, seed=3)
    for clip in range(3):
        for t, frame in enumerate(clips.frames(clip)):
            place = path / "data" / f"c{clip}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame).save(place / f"{t}.png")
    return path


@pytest.fixture(scope="module")
def own(folder):
    options = {"checkpoint": folder / "model", "data": folder / "data", "out": folder / "own"}
    return evaluate(EvaluateOptions(**options, **QUICK))


def test_a_model_file_without_a_config(folder, own):
    assert own["model"]["parameters"] > 0 and own["model"]["step"] == 7
    assert own["title"] == "model" and own["protocol"]["frames"] == 15
    made = {path.name for path in (folder / "own").iterdir()}
    assert {"report.md", "report.html", "rows.tex", "table.txt", "frames", "videos"} <= made
    run = json.loads((folder / "own" / "run.json").read_text())
    assert run["model"]["fingerprint"] == own["model"]["fingerprint"]
    assert len(run["metrics"]["l1"]["convention"]) > 10


def test_its_own_videos_as_predictions(folder, own, tmp_path):
    """The side-by-side videos hold the frames; cut out of them, they score nearly the same."""
    for clip in range(3):
        panels = read_video(folder / "own" / "videos" / f"c{clip}.mp4")
        frames = [frame[22:278, 520:776][4::8, 4::8] for frame in panels]
        write_video(tmp_path / "theirs" / f"c{clip}.mp4", frames, 25, crf=1)
    # The data at twice the size: --resolution brings them to that of the predictions.
    for path in (folder / "data").rglob("*.png"):
        place = tmp_path / "large" / path.relative_to(folder / "data")
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).resize((64, 64), Image.Resampling.NEAREST).save(place)
    options = {"predictions": tmp_path / "theirs", "data": tmp_path / "large"}
    scaled = evaluate(
        EvaluateOptions(
            **options, out=tmp_path / "scaled", resolution=32, **QUICK | {"metrics": ["l1"]}
        )
    )
    assert scaled["protocol"]["resolution"] == 32 and len(scaled["clips"]) == 3
    options = {"predictions": tmp_path / "theirs", "data": folder / "data"}
    theirs = evaluate(EvaluateOptions(**options, out=tmp_path / "out", **QUICK))
    assert theirs["mean"]["l1"] == pytest.approx(own["mean"]["l1"], abs=0.01)
    assert theirs["floors"] == own["floors"]
    compared = compare(folder / "own", tmp_path / "out")
    assert compared["clips"] == 3 and abs(compared["metrics"]["l1"]["difference"]) < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--config and --workdir, --checkpoint, or --predictions"),
        ({"checkpoint": "model"}, "--data has to be given"),
        ({"checkpoint": "model", "data": "data"}, "--out has to be given"),
        ({"predictions": "p", "out": "o"}, "--predictions needs --data"),
        ({"predictions": "p", "checkpoint": "model"}, "both given"),
        ({"predictions": "p", "data": "d", "protocol": "sparsity"}, "needs a model"),
        ({"checkpoint": "m", "data": "d", "resolution": 64}, "--resolution is for --predictions"),
        ({"checkpoint": "m", "data": "d", "batch_size": 0}, "--batch_size has to be at least 1"),
        ({"checkpoint": "m", "data": "d", "dataset": "ffhq"}, "published figures for voxcelebhq"),
        ({"checkpoint": "m", "data": "d", "protocol": "video_editing"}, "needs --edit"),
    ],
)
def test_wrong_flags_are_told_before_anything_is_read(options, message):
    paths = ("checkpoint", "data", "out", "predictions", "pairs")
    options = {k: Path(v) if k in paths else v for k, v in options.items()}
    with pytest.raises(EvaluationError, match=message):
        evaluate(EvaluateOptions(**options))


SELF, CROSS, EDITING = "self_reenactment", "cross_reenactment", "video_editing"
EDIT = {"edits": {"1": 0.2}}


@pytest.mark.parametrize(
    ("protocols", "options"),
    [
        ((SELF, "sparsity", "traversal", "speed", EDITING), {"pairs": "x"}),
        ((SELF, "sparsity", "traversal", "speed", EDITING), {"sources": "x"}),
        ((SELF, "sparsity", "traversal", "speed", EDITING), {"sources_per_clip": 2}),
        ((SELF, "sparsity", "traversal", "speed", EDITING), {"seed": 0}),
        ((SELF, "sparsity", "traversal", "speed", EDITING), {"motion": "relative"}),
        ((SELF, "sparsity", "traversal", "speed", CROSS), EDIT),
        ((SELF, "sparsity", "traversal", CROSS, EDITING), {"batch_sizes": (1, 4, 16)}),
        (("traversal", "speed"), {"max_frames": 9}),
        (("sparsity", "traversal", "speed"), {"metrics": ("l1",)}),
        (("sparsity", "traversal", "speed"), {"weights": "w"}),
        (("sparsity", "traversal", "speed"), {"face_model": "f"}),
        (("sparsity", "traversal", "speed"), {"videos": True}),
        (("speed",), {"data": "d"}),
        (("speed",), {"max_clips": 2}),
    ],
)
def test_flags_that_a_protocol_does_not_heed_are_refused_by_name(protocols, options):
    (name,) = options
    for protocol in protocols:
        given = {"checkpoint": "m", "out": "o", "protocol": protocol}
        given |= {"data": "d"} if protocol != "speed" else {}
        given |= EDIT if protocol == EDITING else {}
        said = f"--{name.removesuffix('s') if name == 'edits' else name} is for --protocol .*; "
        with pytest.raises(EvaluationError, match=f"{said}{protocol} makes no use of it"):
            evaluate(EvaluateOptions(**given | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": "m", "split": "val"}, "--split is of --data.*--config.data.eval_split"),
        (
            {"checkpoint": "m", "data": "d", "protocol": CROSS, "pairs": "p", "seed": 0},
            "--seed is of a draw of pairs, and --pairs names them",
        ),
        (
            {"predictions": "p", "data": "d", "protocol": CROSS, "motion": "absolute"},
            "--motion says how a model moves",
        ),
    ],
)
def test_flags_that_another_flag_makes_void_are_refused(options, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate(EvaluateOptions(**options, out="o"))


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [(("l1",), "--metrics doesn't name it"), ((), "the weights of arcface are not in")],
)
def test_a_face_model_without_the_identity_distance_is_refused(folder, tmp_path, metrics, reason):
    options = {"checkpoint": folder / "model", "data": folder / "data", "out": tmp_path / "out"}
    options |= {"metrics": metrics, "weights": tmp_path, "face_model": tmp_path / "yunet.onnx"}
    with pytest.raises(EvaluationError, match=rf"--face_model is for .* computed \({reason}"):
        evaluate(EvaluateOptions(**options))
    assert not (tmp_path / "out").exists()


def test_missing_things_are_named(folder, tmp_path):
    model, data, out = folder / "model", folder / "data", tmp_path / "out"
    with pytest.raises(FileNotFoundError, match="no file or directory .*nomodel"):
        evaluate(EvaluateOptions(checkpoint=tmp_path / "nomodel", data=data, out=out))
    with pytest.raises(FileNotFoundError, match="nodata: no such folder"):
        evaluate(EvaluateOptions(checkpoint=model, data=tmp_path / "nodata", out=out))
    with pytest.raises(ValueError, match="unknown metrics: beauty"):
        evaluate(EvaluateOptions(checkpoint=model, data=data, out=out, metrics=("beauty",)))
    with pytest.raises(ValueError, match="there is no direction 9"):
        options = {"protocol": "video_editing", "edits": {"9": 0.2}}
        evaluate(EvaluateOptions(checkpoint=model, data=data, out=out, **options))
    with pytest.raises(EvaluationError, match="--weights .*noweights: there is no such folder"):
        options = {"weights": tmp_path / "noweights"}
        evaluate(EvaluateOptions(checkpoint=model, data=data, out=out, **options))
    for protocol, metrics in (("self_reenactment", ["fid"]), ("cross_reenactment", ["l1"])):
        options = {"protocol": protocol, "metrics": metrics, "weights": tmp_path}
        with pytest.raises(EvaluationError, match=f"by --protocol {protocol}: {metrics[0]}: "):
            evaluate(EvaluateOptions(checkpoint=model, data=data, out=out, **options))
    assert not out.exists()


def test_batch_sizes_that_are_no_numbers_are_told(folder, tmp_path):
    command = [sys.executable, "evaluate.py", "--checkpoint", str(folder / "model")]
    command += ["--protocol=speed", "--batch_sizes=1,x", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.endswith("error: --batch_sizes=1,x: write whole numbers, as 1,4,16\n")


def test_a_bad_clip_ends_with_status_2_and_the_others_results(folder, tmp_path):
    data = tmp_path / "data"
    (data / "good").mkdir(parents=True)
    for path in (folder / "data" / "c0").iterdir():
        (data / "good" / path.name).write_bytes(path.read_bytes())
    (data / "bad.mp4").write_bytes(b"nothing" * 99)
    (data / "wide").mkdir()
    for t in range(3):
        Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(data / "wide" / f"{t}.png")
    command = [sys.executable, "evaluate.py", "--checkpoint", folder / "model", "--data", data]
    command += ["--out", tmp_path / "out", "--batch_size=4", "--metrics=l1"]
    ended = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2, ended.stderr
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said
    # Once as it happens, once below the table.
    assert said.count("ERROR: clip 'bad': ") == said.count("failed: clip 'bad': ") == 1
    assert said.count("bad.mp4: not a readable video") == said.count("is of 48x32 pixels") == 2
    assert "evaluate.py: error: 2 of 3 clips could not be evaluated" in ended.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [clip["name"] for clip in results["clips"]] == ["good"] and len(results["failed"]) == 2
    assert "bad.mp4" in (tmp_path / "out" / "report.md").read_text()
    options = {"checkpoint": folder / "model", "data": data, "out": tmp_path / "out"}
    with pytest.raises(ClipsFailed):
        evaluate(EvaluateOptions(**options, batch_size=4, progress=False, metrics=("l1",)))


@pytest.mark.parametrize(
    ("protocol", "own"),
    [
        (CROSS, {"metrics": ["jitter"], "max_clips": 2, "sources_per_clip": 1, "batch_size": 4}),
        ("sparsity", {"max_clips": 1, "max_frames": 4, "batch_size": 4, "videos": False}),
        ("traversal", {"max_clips": 1, "batch_size": 4}),
        ("speed", {"batch_sizes": (2,)}),
    ],
)
def test_protocols_of_a_real_model(folder, tmp_path, protocol, own):
    options = {"checkpoint": folder / "model", "out": tmp_path, "protocol": protocol}
    if protocol != "speed":
        options["data"] = folder / "data"
    results = evaluate(EvaluateOptions(**options, **own, progress=False))
    assert results["protocol"]["name"] == protocol
    assert (tmp_path / "results.json").exists() and (tmp_path / "table.txt").exists()
    if protocol == "sparsity":
        assert "(mean_alpha.png)" in (tmp_path / "report.md").read_text()

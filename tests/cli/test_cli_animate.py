"""`liax animate` and its like, from the command line."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from liax_jax.cli import main
from liax_jax.data.procedural import ProceduralClips
from liax_jax.data.video_io import probe, write_video
from liax_jax.directions import Direction, DirectionCard
from liax_jax.model_files import ModelRecord, fingerprint, save_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_config, tiny_params):
    path = tmp_path_factory.mktemp("cli")
    card = DirectionCard(4, (Direction(0, "yaw", "pose"), Direction(2, "jaw", "mouth")))
    record = ModelRecord(
        config=tiny_config,
        card=card,
        step=None,
        origin="drawn",
        license="",
        fingerprint=fingerprint(tiny_config, tiny_params),
    )
    save_model(path / "model", record, tiny_params)
    clips = ProceduralClips(32, 2, frames_per_clip=5, seed=3)
    Image.fromarray(clips.frame(0, 0)).save(path / "source.png")
    write_video(path / "driving.mp4", clips.frames(1), fps=25)
    Image.fromarray(np.full((90, 60, 3), 127, np.uint8)).save(path / "blank.png")
    return path


@pytest.fixture
def liax(folder, tmp_path):
    """liax(command, *flags, source=…): runs with the tiny model; the exit code."""

    def run(command, *flags):
        arguments = [command, "--checkpoint", str(folder / "model")]
        return main([*arguments, "--compile-cache", str(tmp_path / "cache"), *map(str, flags)])

    return run


def animate_flags(folder, out, **files):
    source = folder / files.get("source", "source.png")
    return "--source", source, "--driving", folder / "driving.mp4", "--out", out


def test_animate(liax, folder, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    flags = ("--edit", "yaw=0.1", "--edit", "3=-0.1", "--absolute", "mouth", "--smooth", "0.5")
    assert liax("animate", *animate_flags(folder, out), *flags) == 0
    assert probe(out).num_frames == 5
    assert "5 frames in" in capsys.readouterr().out


def test_alignment_is_printed_as_flags_that_repeat_it(liax, folder, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert liax("animate", *animate_flags(folder, f"{tmp_path}/a/"), "--align", "2") == 0
    printed = capsys.readouterr().out
    assert "aligned: " in printed and "before and after: " in printed
    flags = printed.split("aligned: ")[1].split(" (distance")[0].split()
    if flags[0] == "--edit":
        assert liax("animate", *animate_flags(folder, f"{tmp_path}/b/"), *flags) == 0
        for a, b in zip(
            sorted((tmp_path / "a").glob("*.png")),
            sorted((tmp_path / "b").glob("*.png")),
            strict=True,
        ):
            left, right = np.asarray(Image.open(a)).astype(int), np.asarray(Image.open(b))
            assert np.abs(left - right).max() <= 4
    assert not out.exists()


def test_edit_traverse_and_reconstruct(liax, folder, tmp_path):
    source, video = folder / "source.png", folder / "driving.mp4"
    assert liax("edit", "--source", source, "--edit", "jaw=0.2", "--out", tmp_path / "e.png") == 0
    assert (
        liax(
            "traverse",
            "--source",
            source,
            "--directions",
            "jaw",
            "--range",
            -0.2,
            0.2,
            0.2,
            "--out",
            tmp_path / "t.png",
        )
        == 0
    )
    assert probe(tmp_path / "t.mp4").num_frames == 4
    assert liax("edit-video", "--video", video, "--edit", "1=0.2", "--out", tmp_path / "v.gif") == 0
    assert liax("reconstruct", "--video", video, "--out", tmp_path / "r.webm", "--compare") == 0
    names = {path.name for path in tmp_path.iterdir()} - {"cache"}
    assert names == {"e.png", "t.png", "t.mp4", "v.gif", "r.webm"}


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        ((-0.5, 0.5, 0.25), [-0.5, -0.25, 0, 0.25, 0.5]),
        ((0, 0.3, 0.1), [0, 0.1, 0.2, 0.3]),
        ((0, 1, 0.6), [0, 0.6]),  # not beyond the end
    ],
)
def test_the_values_of_a_range(liax, folder, tmp_path, monkeypatch, flags, values):
    asked = []

    def traverse(*args, values, **options):
        asked.extend(values)
        return args[2], args[2]

    monkeypatch.setattr("liax_jax.animation.edit.traverse", traverse)
    files = ("--source", folder / "source.png", "--out", tmp_path / "t.png")
    assert liax("traverse", *files, "--range", *flags) == 0
    assert asked == values


@pytest.mark.parametrize("flags", [(0, "inf", 1), (0, 1, "nan"), (1, 0, 0.1)])
def test_a_range_that_cannot_be_counted(liax, folder, tmp_path, capsys, flags):
    files = ("--source", folder / "source.png", "--out", tmp_path / "t.png")
    assert liax("traverse", *files, "--range", *flags) == 2
    assert "give finite FROM < TO and a positive STEP" in capsys.readouterr().err


def test_motion_extract(folder, tmp_path, capsys):
    arguments = ["motion", "extract", folder / "driving.mp4", "--checkpoint", folder / "model"]
    arguments += ["--out", tmp_path / "m.npz", "--no-compile-cache"]
    assert main([str(argument) for argument in arguments]) == 0
    assert "5 frames, 4 directions" in capsys.readouterr().out


def test_a_batch_of_jobs(folder, tmp_path):
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(
        "checkpoint,source,driving,out,edit\n"
        f"{folder}/model,{folder}/source.png,{folder}/driving.mp4,{tmp_path}/a.mp4,yaw=0.1\n"
        f"{folder}/model,{folder}/none.png,{folder}/driving.mp4,{tmp_path}/b.mp4,\n"
        f"{folder}/model,{folder}/source.png,{folder}/driving.mp4,{tmp_path}/c.gif,\n"
    )
    assert main(["batch", str(jobs), "--each", "--no-compile-cache"]) == 2
    made = {path.name for path in tmp_path.iterdir()}
    assert {"a.mp4", "c.gif"} <= made and "b.mp4" not in made


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--edit", "nose=0.1"), "there is no direction 'nose'"),
        (("--edit", "yaw"), "write NAME=VALUE"),
        (("--edit", "yaw=9", "--strict"), "outside the useful range"),
        (("--absolute", "eyes"), "no direction of this model is named as 'eyes'"),
        (("--crop", "oval"), "LEFT,TOP,SIDE"),
        (("--smooth", "-1"), "can't be negative"),
        (("--background", "greenish"), "greenish"),
        (("--chunk", "0"), "at least 1 frame"),
    ],
)
def test_wrong_flags_are_one_message(liax, folder, tmp_path, capsys, flags, message):
    assert liax("animate", *animate_flags(folder, tmp_path / "o.mp4"), *flags) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("liax animate: error: ") and message in error
    assert not (tmp_path / "o.mp4").exists()


def test_an_unknown_ending_is_refused_before_anything_is_loaded(liax, folder, capsys):
    with pytest.raises(SystemExit) as exit_:
        liax("animate", *animate_flags(folder, "out.mkv"))
    assert exit_.value.code == 2 and ".mkv is not a known output" in capsys.readouterr().err


def test_no_face_says_how_to_give_a_box(liax, folder, tmp_path, capsys):
    flags = animate_flags(folder, tmp_path / "o.mp4", source="blank.png")
    assert liax("animate", *flags) == 2
    error = capsys.readouterr().err
    assert "found no face" in error and "LEFT,TOP,SIDE" in error
    assert liax("animate", *flags, "--crop", "0,0,60") == 0


def test_a_missing_checkpoint(folder, tmp_path, capsys):
    arguments = ["animate", "--checkpoint", tmp_path / "none", "--no-compile-cache"]
    arguments += animate_flags(folder, tmp_path / "o.mp4")
    assert main([str(argument) for argument in arguments]) == 2
    assert "none" in capsys.readouterr().err


def test_every_command_has_examples():
    for command in ("animate", "edit", "edit-video", "traverse", "reconstruct", "batch", "convert"):
        process = subprocess.run(
            [sys.executable, "-m", "liax_jax.cli", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "example" in process.stdout and f"liax {command}" in process.stdout

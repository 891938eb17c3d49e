"""The `liax` command."""

import subprocess
import sys

import numpy as np
import pytest

from liax_jax.cli import main
from liax_jax.data.records import RecordClips
from liax_jax.data.video_io import write_video


@pytest.fixture
def videos(tmp_path):
    rows, columns = np.mgrid[:32, :48]
    for phase, name in enumerate(("alice", "bob", "carol")):
        frames = [
            np.stack([rows * 4, columns * 4, np.full_like(rows, 30 * phase + 10 * t)], -1).astype(
                np.uint8
            )
            for t in range(4)
        ]
        write_video(tmp_path / "videos" / f"{name}.mp4", frames, fps=25)
    return tmp_path / "videos"


def test_prepare(videos, tmp_path, capsys):
    arguments = [
        "prepare",
        str(videos),
        str(tmp_path / "out"),
        "--resolution",
        "32",
        "--crop",
        "center",
        "--workers",
        "1",
        "--val",
        "bob",
        "--val",
        "carol",
    ]
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert "found 3 clips: 3 written, 0 skipped" in output.out
    assert "100%" in output.err and "3/3 clips, 12 frames" in output.err
    assert RecordClips(tmp_path / "out", "val").names == ("bob", "carol")
    assert main(arguments) == 2  # it is there now
    assert capsys.readouterr().err.startswith("liax prepare: error: ")
    assert main([*arguments, "--overwrite", "--val-fraction", "0"][:-2]) == 0


def test_text_file_named_mp4(videos, tmp_path, capsys):
    (videos / "text.mp4").write_text("words")
    assert (
        main(
            [
                *("prepare", str(videos), str(tmp_path / "out"), "--resolution", "32"),
                *("--workers", "1", "--crop", "center"),
            ]
        )
        == 0
    )
    output = capsys.readouterr()
    assert "3 written, 1 skipped (1 unreadable)" in output.out
    assert "text.mp4: unreadable: not a readable video" in output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "none", "OUT", "--resolution", "32"], "none: no such folder"),
        (["prepare", "empty", "OUT", "--resolution", "32"], "empty: no videos"),
        (["prepare", "VIDEOS", "OUT", "--resolution", "48"], "resolution must be a power of two"),
        (
            ["prepare", "VIDEOS", "OUT", "--resolution", "32", "--val", "dave"],
            "names no clip: dave; the clips are alice, bob, carol",
        ),
    ],
)
def test_errors_are_one_line(videos, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    names = {"VIDEOS": str(videos), "OUT": str(tmp_path / "out")}
    assert main([names.get(argument, argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("liax prepare: error: ") and message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare"],
        ["prepare", "a", "b", "--resolution", "big"],
        ["prepare", "a", "b", "--nonsense"],
        ["prepare", "a", "b", "--resolution", "64", "--val", "a", "--val-fraction", "0.1"],
        ["dance"],
    ],
)
def test_wrong_arguments(capsys, arguments):
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("liax") and ": error: " in error and error.count("\n") == 1


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["prepare", "--help"])
    assert exit_info.value.code == 0
    assert "liax prepare my_videos my_records --resolution 256" in capsys.readouterr().out


def test_as_a_program(tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "liax_jax.cli",
            "prepare",
            str(tmp_path),
            str(tmp_path / "out"),
            "--resolution",
            "64",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("liax prepare: error: ")


def test_files_are_looked_at_before_the_model_is_loaded(tmp_path, capsys):
    video = tmp_path / "talk.mp4"
    video.write_bytes(b"as it was")
    flags = ["--checkpoint", str(tmp_path / "none"), "--out", str(video)]
    assert main(["reconstruct", "--video", str(video), *flags]) == 2
    assert "is the file of --video and would be overwritten" in capsys.readouterr().err
    assert video.read_bytes() == b"as it was"
    assert main(["reconstruct", "--video", str(tmp_path / "gone.mp4"), *flags]) == 2
    assert "gone.mp4: there is no file or directory of that name" in capsys.readouterr().err

"""`liax motion`: every subcommand, on files."""

import numpy as np
import pytest

from liax_jax.animation import motion_editing
from liax_jax.animation.motion import Motion, MotionError, load_motion, save_motion
from liax_jax.cli import motion as motion_command
from liax_jax.cli.parsing import Parser
from liax_jax.directions import Direction, DirectionCard

CARD = DirectionCard(4, (Direction(1, "smile", "mouth"), Direction(3, "yaw", "pose")))


def _run(*arguments):
    parser = Parser(prog="liax")
    motion_command.register(parser.add_subparsers())
    args = parser.parse_args(["motion", *arguments])
    args.run(args)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab"):
        alpha = np.random.default_rng(seed).standard_normal((50, 4)) * [0, 1, 2, 3]
        save_motion(f"{name}.npz", Motion(alpha, 25.0, "model", source=f"{name}.mp4"))
    (tmp_path / "card.json").write_text(CARD.to_json())
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("cut a.npz --start 0.4 --end 1", lambda a, b: a.alpha[10:25]),
        ("cut a.npz --frames 10:25", lambda a, b: a.alpha[10:25]),
        ("cut a.npz --frames 10:", lambda a, b: a.alpha[10:]),
        ("cut a.npz --frames :10", lambda a, b: a.alpha[:10]),
        ("blend a.npz b.npz", lambda a, b: motion_editing.blend(a, b, 0.5).alpha),
        ("blend a.npz b.npz --weight 1 --only 1,3", lambda a, b: _columns(a, b, [1, 3])),
        (
            "blend a.npz b.npz --weight 1 --only mouth --card card.json",
            lambda a, b: _columns(a, b, [1]),
        ),
        (
            "blend a.npz b.npz --weight 0 --weight-end 1",
            lambda a, b: motion_editing.blend(a, b, np.linspace(0, 1, 50)[:, None]).alpha,
        ),
        (
            "blend a.npz b.npz --weight 1 --rebase",
            lambda a, b: motion_editing.rebase(b, a.alpha[0]).alpha,
        ),
        ("join a.npz b.npz a.npz", lambda a, b: np.concatenate([a.alpha, b.alpha, a.alpha])),
        (
            "join a.npz b.npz --crossfade 0.2 --rebase",
            lambda a, b: motion_editing.join([a, motion_editing.rebase(b, a.alpha[0])], 0.2).alpha,
        ),
        (
            "loop a.npz --times 3 --crossfade 0.4",
            lambda a, b: motion_editing.loop(a, 3, 0.4).alpha,
        ),
        ("smooth a.npz --sigma 1.5", lambda a, b: motion_editing.smooth(a, 1.5).alpha),
        (
            "smooth a.npz --sigma 1.5 --only yaw --card card.json",
            lambda a, b: motion_editing.smooth(a, 1.5, [3]).alpha,
        ),
        ("resample a.npz --fps 60", lambda a, b: motion_editing.resample(a, 60).alpha),
    ],
)
def test_edits(folder, capsys, arguments, expected):
    _run(*arguments.split(), "--out", "new/out.npz")
    a, b, out = (load_motion(name) for name in ("a.npz", "b.npz", "new/out.npz"))
    np.testing.assert_allclose(out.alpha, expected(a, b), atol=1e-6)
    assert out.fingerprint == "model" and "a.mp4" in out.source
    assert out.fps == (60 if "resample" in arguments else 25)
    shown = capsys.readouterr().out
    assert shown.startswith(f"new/out.npz: {out.num_frames} frames, {out.duration:.2f} s")


def _columns(a, b, columns):
    mixed = a.alpha.copy()
    mixed[:, columns] = b.alpha[:, columns]
    return mixed


def test_a_motion_can_be_replaced_by_its_edit(folder):
    _run("cut", "a.npz", "--frames", "0:5", "--out", "a.npz")
    assert load_motion("a.npz").num_frames == 5


def test_info(folder, capsys):
    save_motion(
        "varying.npz", Motion(np.zeros((3, 4)), 8.0, "model", times=np.array([0, 0.1, 0.5]))
    )
    _run("info", "a.npz", "varying.npz", "--card", "card.json")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a.npz: 50 frames, 2.00 s (25 frames/s)"
    assert lines[1].split() == ["from", "a.mp4"]
    assert lines[2].split() == ["model", "model,", "4", "directions"]
    # The strongest first; direction 0 doesn't move.
    assert [line.split()[0] for line in lines[4:7]] == ["3", "2", "1"]
    assert lines[4].split()[1] == "yaw" and lines[6].split()[1] == "smile"
    alpha = load_motion("a.npz").alpha[:, 2]
    values = [float(value) for value in lines[5].split()[1:]]
    expected = [alpha[0], alpha.min(), alpha.max(), alpha.std()]
    np.testing.assert_allclose(values, expected, atol=6e-4)
    assert lines[7] == "varying.npz: 3 frames, 0.62 s (varying, on average 8 frames/s)"
    assert len(lines) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("cut a.npz --out b.mp4", "ends in .npz"),
        ("cut a.npz --frames 0:5 --end 1 --out c.npz", "either --frames or"),
        ("cut a.npz --frames 0:51 --out c.npz", "there are 50"),
        ("smooth a.npz --sigma -1 --out c.npz", "0 or more"),
        ("smooth a.npz --sigma 1 --only yaw --out c.npz", "have no names"),
        ("smooth a.npz --sigma 1 --only 4 --out c.npz", "no direction 4"),
        ("smooth a.npz --sigma 1 --only yaw --card other.json --out c.npz", "is for 7 directions"),
        ("blend a.npz other.npz --out c.npz", "different models"),
        ("blend a.npz other.npz --rebase --out c.npz", "different models"),
        ("info card.json", "card.json: damaged, or not a motion file"),
    ],
)
def test_errors(folder, arguments, message):
    save_motion("other.npz", Motion(np.ones((3, 7)), 25.0, "other"))
    (folder / "other.json").write_text(DirectionCard(7).to_json())
    with pytest.raises((MotionError, ValueError), match=message):
        _run(*arguments.split())
    assert not (folder / "c.npz").exists()


@pytest.mark.parametrize(
    "arguments",
    ["", "dance", "cut a.npz", "blend a.npz --out b.npz", "cut a.npz --frames 3 --out b.npz"],
)
def test_wrong_arguments(capsys, arguments):
    with pytest.raises(SystemExit) as exit_info:
        _run(*arguments.split())
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.startswith("liax motion")


@pytest.mark.parametrize("name", ["info", "cut", "blend", "join", "loop", "smooth", "resample"])
def test_help_has_an_example(capsys, name):
    with pytest.raises(SystemExit) as exit_info:
        _run(name, "--help")
    assert exit_info.value.code == 0
    assert f"  liax motion {name} " in capsys.readouterr().out

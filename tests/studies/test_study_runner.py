"""The runner, with a stand-in for the process of a cell that keeps to its contract."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liax_jax.studies import Study, runner
from liax_jax.studies.command import main, plan
from liax_jax.studies.runner import run_study

# Counts its starts; fails, waits, or writes a result, as the cell's row says.
STAND_IN = """
import json, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
request = json.loads((folder / "cell.json").read_text())
with (folder / "starts").open("a") as file:
    file.write("x")
run = folder / "run"
run.mkdir(exist_ok=True)
(run / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\\n")
if request["row"] == "fails":
    print("error: no such thing")
    sys.exit(2)
if request["row"] == "waits" and not (folder / "go").exists():
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    (folder / "waiting").write_text("")
    time.sleep(60)
result = {"key": request["key"], "seconds": {"training": 0.06}, "seed": request["config"]["seed"]}
(folder / "result.json").write_text(json.dumps(result))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    path = tmp_path / "stand_in.py"
    path.write_text(STAND_IN)
    monkeypatch.setattr(runner, "cell_command", lambda f: [sys.executable, str(path), str(f)])
    monkeypatch.setattr(runner, "_POLL_SECONDS", 0.02)


def make_study(cells, report=lambda *_: None):
    return Study("try", tuple(cells), report)


def starts(cell, root) -> int:
    path = cell.folder(root) / "starts"
    return len(path.read_text()) if path.exists() else 0


@pytest.mark.usefixtures("stand_in")
def test_a_failing_cell_is_told_and_the_others_go_on(tiny_cell, tmp_path, caplog):
    cells = [tiny_cell("a"), tiny_cell("b", row="fails", seed=1), tiny_cell("c", seed=2)]
    caplog.set_level("INFO")
    failed = run_study(make_study(cells), tmp_path / "w", workers=2, progress=False)
    assert failed == ["b"]
    assert "b failed (status 2): error: no such thing" in caplog.text
    assert "[2/3] " in caplog.text
    assert set(make_study(cells).results(tmp_path / "w")) == {"a", "c"}


@pytest.mark.usefixtures("stand_in")
def test_finished_cells_are_not_run_again(tiny_cell, tmp_path):
    cells = [tiny_cell("a"), tiny_cell("b", seed=1)]
    for _ in range(2):
        assert run_study(make_study(cells), tmp_path, workers=1, progress=False) == []
    assert [starts(cell, tmp_path) for cell in cells] == [1, 1]
    # Another measure: the same folder, another result.
    again = tiny_cell("a", rotations=("l1",))
    run_study(make_study([again]), tmp_path, progress=False)
    assert starts(cells[0], tmp_path) == 2


@pytest.mark.usefixtures("stand_in")
def test_portraits_are_drawn_before_the_first_cell_that_trains_on_them(
    tiny_cell, tmp_path, monkeypatch
):
    uniform = {"data__procedural__distribution": "uniform"}
    cells = [tiny_cell("a"), tiny_cell("b", seed=1), tiny_cell("c", seed=2, **uniform)]
    seen = []

    def draw(cells, workers, **_):
        (cell,) = cells
        seen.append((cell.name, starts(cell, tmp_path), workers))

    monkeypatch.setattr(runner, "draw_kept_frames", draw)
    run_study(make_study(cells), tmp_path, workers=3, progress=False)
    assert seen == [("a", 0, 3), ("c", 0, 1)]


@pytest.mark.usefixtures("stand_in")
def test_only_some_and_no_more_after_hours(tiny_cell, tmp_path, caplog):
    cells = [tiny_cell("a"), tiny_cell("b", seed=1)]
    run_study(make_study(cells), tmp_path, only=["b"], progress=False)
    assert [starts(cell, tmp_path) for cell in cells] == [0, 1]
    caplog.set_level("INFO")
    run_study(make_study(cells), tmp_path, hours=1e-9, progress=False)
    assert starts(cells[0], tmp_path) == 0
    assert "not begun: a" in caplog.text


@pytest.mark.usefixtures("stand_in")
def test_ctrl_c_saves_what_is_at_work_and_the_same_command_goes_on(tiny_cell, tmp_path):
    cell = tiny_cell("a", row="waits")
    script = tmp_path / "main.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from liax_jax.studies import Cell, Study, runner\n"
        "from ml_collections import ConfigDict\nimport json\n"
        f"runner.cell_command = lambda f: [sys.executable, {str(tmp_path / 'stand_in.py')!r}, "
        "str(f)]\n"
        "class Given(Cell):\n    training_key = key = 'given'\n"
        f"config = ConfigDict(json.loads({json.dumps(cell.request()['config'])!r}))\n"
        "study = Study('try', (Given('a', 'waits', config, 0.01),), None)\n"
        "try:\n    runner.run_study(study, Path(sys.argv[1]), progress=False)\n"
        "except runner.Stopped as error:\n    print(error)\n    sys.exit(75)\n"
    )
    folder = tmp_path / "w" / "a-given"
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "w")], stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (folder / "waiting").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 75
    assert process.stdout is not None
    assert "stopped by SIGINT; the same command goes on" in process.stdout.read()
    (folder / "go").write_text("")
    done = subprocess.run([sys.executable, str(script), str(tmp_path / "w")], timeout=120)
    assert done.returncode == 0
    assert (folder / "result.json").exists() and len((folder / "starts").read_text()) == 2


@pytest.mark.usefixtures("stand_in")
def test_the_plan_knows_what_is_done_and_how_fast_it_was(tiny_cell, tmp_path):
    cells = [tiny_cell("a"), tiny_cell("b", seed=1)]
    study = make_study(cells)
    assert "2 cells, about 0.1 h with 1 at a time (estimated)" in plan(study, cells, tmp_path, 1)
    run_study(study, tmp_path, only=["a"], progress=False)
    # 0.06 s where 3 · 0.01 were expected.
    text = plan(study, cells, tmp_path, 2)
    assert "finished" in text and "as measured on finished cells" in text
    assert "4.0 min" in text  # 2 · (0.03 + 120) s


@pytest.mark.usefixtures("stand_in")
def test_the_command(tiny_cell, tmp_path, capsys, monkeypatch):
    written = []
    study = make_study(
        [tiny_cell("a"), tiny_cell("b", row="fails", seed=1)],
        lambda study, results, root, docs: written.append(sorted(results)),
    )
    monkeypatch.setattr("liax_jax.studies.command.load_study", lambda path: study)
    monkeypatch.setattr("liax_jax.studies.command.describe_cell", lambda result: "")
    flags = ["x.py", "--out", str(tmp_path), "--workers", "1"]
    assert main([*flags, "--dry-run"]) == 0
    assert "2 cells" in capsys.readouterr().out and not written
    assert main(flags) == 1  # the report has the others
    assert main([*flags, "--report-only"]) == 0
    assert written == [["a"], ["a"]]
    assert main([*flags, "--only", "c"]) == 2
    assert "no cell's name holds 'c'" in capsys.readouterr().err


def test_a_study_that_is_none(tmp_path, capsys):
    assert main([str(tmp_path / "x.py")]) == 2
    assert "there is no such study" in capsys.readouterr().err
    (tmp_path / "x.py").write_text("")
    assert main([str(tmp_path / "x.py")]) == 2
    assert "has no get_study()" in capsys.readouterr().err
    assert not Path("runs/x").exists()

"""Results of finished cells beside the report: taken from there, left there."""

import json

from liax_jax.studies import Study
from liax_jax.studies.cells import RESULT_NAME
from liax_jax.studies.command import main
from liax_jax.studies.published import give_results, outdated_results, take_results


def finish(cell, root, value):
    folder = cell.folder(root)
    folder.mkdir(parents=True)
    (folder / RESULT_NAME).write_text(json.dumps({"key": cell.key, "value": value}))
    (folder / "codes.npz").write_bytes(b"codes")
    (folder / "log.txt").write_text("long")


def test_results_go_there_and_back_without_the_models(tiny_cell, tmp_path):
    cells = [tiny_cell("a"), tiny_cell("b", seed=1)]
    study = Study("try", cells, lambda *_: None)
    finish(cells[0], tmp_path / "here", 1)
    published = tmp_path / "published"
    assert outdated_results(study, published) == []
    assert give_results(study, tmp_path / "here", published) == ["a"]
    names = {path.name for path in cells[0].folder(published).iterdir()}
    assert names == {"result.json", "codes.npz"}
    assert give_results(study, tmp_path / "here", published) == []
    assert take_results(study, tmp_path / "there", published) == ["a"]
    assert study.results(tmp_path / "there") == {"a": {"key": cells[0].key, "value": 1}}
    # What is there already stays.
    (cells[0].folder(published) / RESULT_NAME).write_text(
        json.dumps({"key": cells[0].key, "value": 2})
    )
    assert take_results(study, tmp_path / "there", published) == []


def test_results_of_another_version_are_told_and_not_taken(tiny_cell, tmp_path):
    now, before = tiny_cell("a", steps=3), tiny_cell("a", steps=4)
    finish(before, tmp_path, 1)
    study = Study("try", [now], lambda *_: None)
    assert take_results(study, tmp_path / "work", tmp_path) == []
    assert outdated_results(study, tmp_path) == [before.folder(tmp_path).name]
    # Trained alike and measured otherwise: a newer result replaces the older one.
    measured = tiny_cell("a", steps=4, rotations=("l1",))
    finish(measured, tmp_path / "work", 2)
    assert give_results(Study("try", [measured], lambda *_: None), tmp_path / "work", tmp_path)
    assert measured.result(tmp_path)["value"] == 2 and before.result(tmp_path) is None


def test_the_command_trains_nothing_that_is_there(tiny_cell, tmp_path, monkeypatch, capsys):
    cell = tiny_cell("a", data__procedural__keep_in="")
    written = []
    study = Study("try", [cell], lambda study, results, root, docs: written.append(results))
    monkeypatch.setattr("liax_jax.studies.command.load_study", lambda path: study)
    finish(cell, tmp_path / "published", 7)
    (tmp_path / "published" / "b-0123456789ab").mkdir()
    flags = ["x.py", "--out", str(tmp_path / "work"), "--results", str(tmp_path / "published")]
    assert main([*flags, "--workers", "1"]) == 0
    assert [results["a"]["value"] for results in written] == [7]
    said = capsys.readouterr().out
    assert "took the results of a" in said
    assert "left alone: b-0123456789ab" in said


def test_a_report_alone_leaves_results_there_too(tiny_cell, tmp_path, monkeypatch):
    cell = tiny_cell("a", data__procedural__keep_in="")
    study = Study("try", [cell], lambda *_: None)
    monkeypatch.setattr("liax_jax.studies.command.load_study", lambda path: study)
    finish(cell, tmp_path / "work", 7)
    flags = ["x.py", "--out", str(tmp_path / "work"), "--results", str(tmp_path / "published")]
    assert main([*flags, "--report-only"]) == 0
    assert cell.result(tmp_path / "published") == {"key": cell.key, "value": 7}

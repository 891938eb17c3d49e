"""`liax interpret` from end to end."""

import json
import re

import pytest

from liax_jax.cli import main
from liax_jax.data.procedural import FACTORS
from liax_jax.directions import Direction, DirectionCard, read_card
from liax_jax.interpretability import figures
from liax_jax.interpretability import lab as lab_module
from liax_jax.interpretability.factor_truth import FactorChange
from liax_jax.interpretability.naming import Name
from liax_jax.model_files import save_model


@pytest.fixture
def model_folder(animator, tmp_path):
    save_model(tmp_path / "model", animator.record, animator.params)
    return tmp_path / "model"


def by_use_of(content):
    """(index, direction) of report.json, the most used first."""
    found = enumerate(content["directions"])
    return sorted(found, key=lambda item: -item[1]["finding"]["use"])


SMALL = ["--data", "procedural", "--clips", "3", "--frames", "3", "--portraits", "2"]


def test_the_command_writes_a_report_that_stands_alone(model_folder, tmp_path, capsys, monkeypatch):
    # Of a drawn model nothing can be seen.
    monkeypatch.setattr(lab_module, "REAL_EFFECT_DB", 99.0)
    out = tmp_path / "report"
    command = ["interpret", str(model_folder), *SMALL, "--out", str(out), "--write-card"]
    command += ["--weights", str(tmp_path)]
    assert main(command) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 4 + 4
    assert "<script" not in page and 'src="figures' not in page
    assert not re.search(r"(src|href)=.?http", page)
    content = json.loads((out / "report.json").read_text())
    assert len(content["directions"]) == 4
    lines = printed.splitlines()
    for line, (index, one) in zip(lines[1:5], by_use_of(content), strict=True):
        name, finding = one["name"], one["finding"]
        assert line.split()[1].removeprefix("-") == name and line.split()[0] == str(index)
        assert float(line.split()[2]) == pytest.approx(one["confidence"], abs=0.006)
        assert float(line.split()[4]) == pytest.approx(finding["reach"], rel=0.006)
    found = content["naming_accuracy"]
    assert found["with_effect"] + found["no_factor"] == 4
    assert lines[5] == (
        f"names that are right: {found['right']} of {found['with_effect']}; where the truth is "
        f"clear {found['clear_right']} of {found['clear']}; with an effect that is no factor's: "
        f"{found['no_factor']}"
    )
    # Drawn weights move no factor.
    assert found["purity"] is None and "one factor" not in printed + page.lower()
    assert f"{found['no_factor']} more move no factor" in page
    assert "2 of 2 people, a face found in" in page and content["people"] == 2
    assert content["identity_drift"].startswith("left out: the weights of arcface are not in")
    card = read_card(out / "directions.json")
    assert card.num_vectors == 4 and read_card(model_folder / "directions.json") == card
    assert {d.index for d in card.directions} == {0, 1, 2, 3}
    assert {path.suffix for path in (out / "figures").iterdir()} == {".png"}
    assert not list(out.rglob("*.partial"))

    # Names that are there are kept, unless they are to be replaced.
    named = DirectionCard(4, (Direction(1, "wave"),))
    (model_folder / "directions.json").write_text(named.to_json())
    assert main(command) == 2
    assert "has names already (wave); add --overwrite" in capsys.readouterr().err
    assert read_card(model_folder / "directions.json") == named


def test_names_keep_their_sense_from_the_finding_to_the_page(
    model_folder, tmp_path, capsys, monkeypatch
):
    # What drawn weights do has no name: each direction is told to turn the head to the left.
    name = Name("yaw", -1, 0.2, 0.5, 0.8, 0.9, {"yaw": -0.2})
    amounts = dict.fromkeys(FACTORS, 0.0)
    truth = FactorChange(amounts | {"yaw": 0.3}, amounts | {"yaw": 0.8}, 0.9)
    monkeypatch.setattr(lab_module, "REAL_EFFECT_DB", 99.0)
    monkeypatch.setattr(lab_module, "name_motion", lambda seen: name)
    monkeypatch.setattr(lab_module, "_truth", lambda *args: truth)
    titles, draw = [], figures.draw_direction

    def draw_direction(path, title, *others):
        titles.append(title)
        draw(path, title, *others)

    monkeypatch.setattr(figures, "draw_direction", draw_direction)
    out = tmp_path / "report"
    assert main(["interpret", str(model_folder), *SMALL, "--out", str(out)]) == 0
    lines, page = capsys.readouterr().out.splitlines(), (out / "report.html").read_text()
    names = ["-yaw", "-yaw_2", "-yaw_3", "-yaw_4"]
    assert [line.split()[1] for line in lines[1:5]] == names
    assert [title.split(":")[0].split()[-1] for title in titles] == names
    assert titles[0].endswith(": turned right → turned left (confidence 0.40)")
    assert all(f'<span class="name">{name}</span>' in page for name in names)
    card = read_card(out / "directions.json")
    assert [direction.sign for direction in card.directions] == [-1] * 4
    # The truth turns the other way: each name is wrong, and said to be of the wrong sense.
    assert "names that are right: 0 of 4; where the truth is clear 0 of 4" in lines[5]
    assert lines[6] == "share of a change that is one factor's: 1.00"
    assert "<tr><th></th><th>-yaw</th></tr>" in page and "<tr><td>yaw</td><td>4</td></tr>" in page


def test_the_command_says_what_is_missing(model_folder, tmp_path, capsys, monkeypatch):
    out = ["--out", str(tmp_path / "report")]
    assert main(["interpret", str(tmp_path / "modle"), *SMALL, *out, "--write-card"]) == 2
    assert f"there is no file or directory {tmp_path / 'modle'}" in capsys.readouterr().err
    single = tmp_path / "one.safetensors"
    single.write_bytes(b"")
    assert main(["interpret", str(single), *SMALL, *out, "--write-card"]) == 2
    assert "is one file, and its card would be inside" in capsys.readouterr().err
    for place in (single, single / "report"):
        assert main(["interpret", str(model_folder), *SMALL, "--out", str(place)]) == 2
        assert f"{single} is a file; name a folder" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["interpret", str(model_folder), *SMALL, *out]) == 2
    assert "pip install 'liax-jax[interpret]'" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_the_card_of_the_checkpoint_is_not_overwritten(model_folder, tmp_path, capsys):
    named = DirectionCard(4, (Direction(1, "wave"),)).to_json()
    (model_folder / "directions.json").write_text(named)
    (tmp_path / "link").symlink_to(model_folder)
    before = sorted(model_folder.rglob("*"))
    for out in (model_folder, tmp_path / "link"):
        assert main(["interpret", str(model_folder), *SMALL, "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert "its directions.json would be overwritten; name another folder" in error
    assert (model_folder / "directions.json").read_text() == named
    assert sorted(model_folder.rglob("*")) == before


def test_what_can_not_be_measured_leaves_nothing_and_takes_nothing(model_folder, tmp_path, capsys):
    out = tmp_path / "report"
    command = ["interpret", str(model_folder), *SMALL, "--portraits", "1", "--out", str(out)]
    still = ["--clips", "6", "--frames", "1"]
    assert main([*command, *still]) == 2
    assert "--frames 1: must be 2 or more" in capsys.readouterr().err
    assert not out.exists()
    assert main(command) == 0, capsys.readouterr().err
    assert "<td>–</td>" in (out / "report.html").read_text()  # nobody to agree with
    findings = sorted((out / "directions").iterdir())
    assert len(findings) == 9
    assert main([*command, *still, "--restart"]) == 2
    assert sorted((out / "directions").iterdir()) == findings

    # Pictures of an earlier report of more directions go, those of somebody else stay.
    for name in ("direction_039.png", "traversals_4.png", "mine.png"):
        (out / "figures" / name).write_bytes(b"")
    assert main(command) == 0, capsys.readouterr().err
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {
        *(f"direction_{index:03d}.png" for index in range(4)),
        *("traversals_1.png", "coefficients.png", "relations.png", "kurtosis.png", "mine.png"),
    }

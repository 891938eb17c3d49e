"""The report: what stands in it, and that its HTML needs no other file."""

import dataclasses
import html.parser
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from liax_jax.evaluation import Context, published_results, report
from liax_jax.evaluation.clip_pictures import heat_map
from liax_jax.evaluation.document import Table, to_html, to_markdown
from liax_jax.evaluation.latex import latex_rows
from liax_jax.evaluation.program import package_version
from liax_jax.evaluation.published_results import TABLES, published_tables
from liax_jax.evaluation.report import announce_missing_plots, write_report
from liax_jax.metrics import METRICS, FrameMetric
from tests.evaluation.constructed import ArrayClips, constructed_fns, evaluate, moving_clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    clips = moving_clips((5, 4, 6))
    clips.names = ["<id>/a & b", "c|d", "e"]
    clips = ArrayClips([*clips.videos, clips.videos[0][:1]], [*clips.names, "one"])
    context = Context(
        model={"fingerprint": "abc"},
        data={"kind": "drawn"},
        left_out={"fid": "its weights are not there"},
        notes=["a note"],
        title="my_run",
    )
    fns = constructed_fns(lambda source, driving: np.asarray(driving) * 0.9)
    evaluate(fns, clips, path, context=context, panels=True, videos=True)
    write_report(path)
    return path


def test_markdown_has_figures_failures_conventions_and_worst_clips(folder):
    results = json.loads((folder / "results.json").read_text())
    text = (folder / "report.md").read_text()
    low, high = results["intervals"]["mean"]["psnr"]
    for part in (
        f"{results['mean']['l1']:.4f}",
        f"[{low:.2f}, {high:.2f}]",
        "copy source",
        "fid: its weights are not there",
        "a note",
        "clip 'one' has 1 frame;",
        "Worst clips, by l1",
        "c\\|d",
        "plots/over_frames.png",
        "videos/e.mp4",
        "BCa bootstrap over clips, 10000 resamples, seed 0",
        "So few clips make them too narrow",
        "fingerprint abc",
        f"made with liax_jax {package_version()}, jax {jax.__version__}; cpu\n",
    ):
        assert part in text, part
    ranked = sorted(results["clips"], key=lambda clip: -clip["l1"])
    places = [text.index(f"frames/{clip['file']}.jpg") for clip in ranked]
    assert places == sorted(places)
    assert "No published figures are shown" in text and "(published)" not in text
    assert "at 256 and 512 px; this is an unnamed data set (--dataset) at " in text


FACES = FrameMetric(
    name="faces",
    higher_is_better=False,
    convention="nothing in dark frames",
    decimals=3,
    against="source",
    prepare_source=lambda _, source: source,
    skips_frames=True,
    apply=lambda _, images, __: jnp.where(images.mean((1, 2, 3)) > 0.5, 0.25, jnp.nan),
)


def test_frames_and_clips_that_a_metric_did_not_score_are_noted(tmp_path):
    clips = moving_clips((5, 4, 4))
    for video, dark in zip(clips.videos, (2, 4, 0), strict=True):
        video[:dark], video[dark:] = 10, 200
    fns = constructed_fns(lambda source, driving: driving)
    metrics = {"faces": FACES, "l1": METRICS["l1"].make(), "jitter": METRICS["jitter"].make()}
    results = evaluate(fns, clips, tmp_path, context=Context(title="x"), metrics=metrics)
    assert results["mean"]["faces"] == 0.25
    assert results["protocol"]["metrics"]["faces"]["frames"] == 7
    # Jitter has none in the first two frames of any clip, as its convention says.
    assert results["notes"] == [
        "faces: 6 of 13 frames have no score; its means are over the other 7",
        "faces: 1 of 3 clips have no value: clip1",
    ]
    write_report(tmp_path)
    for name in ("table.txt", "report.md"):
        text = (tmp_path / name).read_text()
        assert all(note in text for note in results["notes"]), name


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.open = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_no_score_is_an_error_of_a_metric_that_may_not_skip_frames(tmp_path):
    strict = dataclasses.replace(FACES, skips_frames=False)
    clips = moving_clips((4, 4))
    clips.videos[0][:], clips.videos[1][:] = 240, 240
    clips.videos[1][2] = 10
    fns = constructed_fns(lambda source, driving: driving)
    found = evaluate(fns, clips, tmp_path, metrics={"faces": strict})
    assert [entry["name"] for entry in found["clips"]] == ["clip0"]
    (failure,) = found["failed"]
    assert failure["reason"] == "clip 'clip1', frame 2 (from 0): faces isn't a finite number"


def test_html_is_one_file_that_parses(folder):
    text = (folder / "report.html").read_text()
    links = Links()
    links.feed(text)
    assert links.open == []
    pictures = [source for source in links.sources if source.startswith("data:image/")]
    assert len(pictures) == 3 + 2
    others = [source for source in links.sources if source not in pictures]
    assert all(source.startswith("videos/") for source in others)
    assert "&lt;id&gt;/a &amp; b" in text and "<id>" not in text


def test_plots_are_drawn(folder):
    for name in ("over_clips", "over_frames"):
        assert (folder / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_said_before_and_the_rest_is_written(folder, monkeypatch, caplog):
    monkeypatch.setattr(report, "has_matplotlib", lambda: False)
    announce_missing_plots()
    assert "pip install 'liax-jax[report]'" in caplog.text
    write_report(folder)
    assert "Plots" not in (folder / "report.md").read_text()


def results_on(dataset, resolution, protocol="self_reenactment"):
    about = {
        name: {
            "convention": "",
            "higher_is_better": name in ("psnr", "ssim"),
            "decimals": 3,
            "frames": 9,
            "weights": {},
        }
        for name in ("l1", "ssim", "psnr", "fid")
    }
    return {
        "title": "ours_2",
        "dataset": dataset,
        "protocol": {
            "name": protocol,
            "resolution": resolution,
            "clips": 2,
            "frames": 9,
            "metrics": about,
        },
        "mean": {"l1": 0.0312345, "ssim": 0.8, "psnr": 25.0},
        "sets": {"fid": None},
    }


def test_latex_rows_with_published_ones():
    text = latex_rows(results_on("VoxCeleb-HQ", 256))
    assert r"ours\_2 & 0.031 & 0.800 & 25.000 & -- \\" in text
    assert r"LIA-X & 0.036 & 0.73 & 24.82 & 10.74 \\" in text
    assert "% published figures: LIA-X, arXiv 2508.09959, Table 1, VoxCelebHQ" in text
    assert r"PSNR $\uparrow$" in text and r"FID $\downarrow$" in text
    assert "FOMM" not in latex_rows(results_on("", 256))


def test_published_rows_are_for_the_same_data_protocol_and_size():
    tables = published_tables("voxcelebhq", "self_reenactment", 512)
    systems = [system for table in tables for system in table.rows]
    assert systems[:4] == ["X-Portrait", "LivePortrait", "LIA", "LIA-X"] and len(systems) == 7
    assert published_tables("voxcelebhq", "self_reenactment", 128) == []
    assert published_tables("hdtf", "self_reenactment", 256) == []
    assert len(published_tables("HDTF/AAHQ", "cross_reenactment", 512)) == 1
    for table in TABLES:
        assert set(table.metrics) <= set(METRICS)
        for figures in table.rows.values():
            assert len(figures) == len(table.metrics)
            assert all(re.fullmatch(r"\d+\.\d+", figure) for figure in figures)
    assert published_results.DATASETS == ("voxcelebhq", "talkinghead1kh", "hdtfaahq")


def test_published_rows_are_marked(folder, tmp_path):
    (tmp_path / "clips").mkdir()
    for path in (folder / "clips").iterdir():
        (tmp_path / "clips" / path.name).write_bytes(path.read_bytes())
    results = json.loads((folder / "results.json").read_text())
    results["dataset"], results["protocol"]["resolution"] = "voxcelebhq", 256
    (tmp_path / "results.json").write_text(json.dumps(results))
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| *LIA-X (published)* | *0.036* | *24.82* | *0.73* |" in text
    assert "were not measured here" in text
    assert '<tr class="marked"><td>FOMM (published)' in (tmp_path / "report.html").read_text()


def test_heat_map_ends():
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert (heat_map(black, black) == 0).all() and (heat_map(black, white) == 255).all()


def test_tables_of_both_kinds(tmp_path):
    table = Table(["a", "b"], [["x|y", "<1>"]], marked=[0])
    assert to_markdown([table]).splitlines()[2] == "| *x\\|y* | *<1>* |"
    assert "<td>&lt;1&gt;</td>" in to_html([table], "t", tmp_path)

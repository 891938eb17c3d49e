"""Readers of layouts, each on a small folder in that layout."""

import numpy as np
import pytest
from PIL import Image

from liax_jax.data.crop_options import CropOptions
from liax_jax.data.frame_options import FrameOptions
from liax_jax.data.items import Annotation
from liax_jax.data.layouts import LAYOUTS, read_layout
from liax_jax.data.prepare import prepare
from liax_jax.data.records import RecordClips
from liax_jax.data.source import Source
from liax_jax.data.video_io import read_video
from liax_jax.faces.crops import Square, cut_out


def items_of(layout, videos, annotations=None):
    return {item.name: item for item in read_layout(layout, videos, annotations)}


def prepared(tmp_path, layout, annotations=None, **options):
    """The records of tmp_path / "videos", cropped by the data set's boxes where it has some."""
    options = {"min_size": 0, "min_sharpness": 0, "mode": LAYOUTS[layout].crop, **options}
    source = Source(tmp_path / "videos", layout, annotations)
    out = tmp_path / "out"
    frames = FrameOptions(32, quality=None, crop=CropOptions(**options))
    return out, prepare(source, out, frames, workers=1, progress=False)


def write_png(path, seed=0, size=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return values


def test_plain_folder_says_who_by_the_first_folder(tmp_path, make_video):
    make_video(tmp_path / "videos" / "alice" / "1.mp4", 3)
    make_video(tmp_path / "videos" / "bob.mp4", 3)
    items = items_of("folder", tmp_path / "videos")
    assert [(name, item.identity) for name, item in items.items()] == [
        ("alice/1", "alice"),
        ("bob", "bob"),
    ]
    assert items["alice/1"].source == "alice/1.mp4" and items["bob"].dataset == "videos"


def test_vox_frames(tmp_path, make_video, make_frame_folder):
    """PNG folders and videos, as FOMM's and LIA's loaders read them."""
    train = tmp_path / "videos" / "train"
    make_frame_folder(train / "id1#aXk#000010#000020", 4)
    make_video(train / "id1#bYk#000001#000009.mp4", 3)
    make_video(tmp_path / "videos" / "test" / "id9#cZk#000001#000009.mp4", 2)
    out, summary = prepared(tmp_path, "vox-frames")
    assert summary.splits == {"train": (2, 7), "test": (1, 2)}
    clips = RecordClips(out, "train")
    assert clips.names == ("id1#aXk#000010#000020", "id1#bYk#000001#000009")
    assert clips.identities == ("id1", "id1")
    assert RecordClips(out, "test").identities == ("id9",)
    assert clips.entries[0].dataset == "vox-frames" and clips.entries[0].box == (0, 0, 40)
    make_video(train / "plain.mp4", 2)
    with pytest.raises(ValueError, match=r"plain\.mp4: .* named ID#VIDEO#START#END; use --layout"):
        items_of("vox-frames", tmp_path / "videos")


UTTERANCE = """Identity  : \tid00012
Reference : \t{video}
Offset    : \t2
FV Conf   : \t20.230\t(1)
ASD Conf  : \t2.765

FRAME \tX \tY \tW \tH
"""


def test_voxceleb_utterances(tmp_path, make_video):
    make_video(tmp_path / "videos" / "raw" / "_raOc3-IRsw.mp4", 30)
    txt = tmp_path / "txt" / "id00012"
    (txt / "_raOc3-IRsw").mkdir(parents=True)
    (txt / "gone").mkdir()
    rows = ["000005 \t0.25 \t0.25 \t0.25 \t0.5 ", "000006 \t0.5 \t0.25 \t0.25 \t0.5 "]
    head = UTTERANCE.format(video="_raOc3-IRsw")
    (txt / "_raOc3-IRsw" / "00110.txt").write_text(head + "\n".join(rows) + "\n\n")
    pixels = head.replace("_raOc3-IRsw", "gone") + "000001 \t10 \t20 \t8 \t8\n"
    (txt / "gone" / "00001.txt").write_text(pixels)
    items = items_of("voxceleb", tmp_path / "videos", tmp_path / "txt")
    item = items["id00012/_raOc3-IRsw/00110"]
    assert item.seconds == (0.2, 0.28) and item.identity == "id00012" and not item.missing
    assert item.box == Annotation(0.25, 0.25, 0.75, 0.75, 1, 1)
    # The whole is 64 x 48 pixels: half of each, the larger one for both.
    assert item.box.square(48, 64) == Square(32, 24, 32)
    missing = items["id00012/gone/00001"]
    assert missing.missing and missing.box == Annotation(10, 20, 18, 28, None, 360)
    assert missing.box.square(720, 1280) == Square(28, 48, 16)
    out, summary = prepared(tmp_path, "voxceleb", tmp_path / "txt", mode="box")
    assert summary.skipped == [("id00012/gone/00001", "missing", "there is no such video")]
    clips = RecordClips(out, "train")
    frames = list(read_video(tmp_path / "videos" / "raw" / "_raOc3-IRsw.mp4"))[5:7]
    expected = [cut_out(frame, Square(32, 24, 32), 32) for frame in frames]
    np.testing.assert_array_equal(list(clips.frames(0)), expected)
    assert (clips.entries[0].start, clips.entries[0].end) == (0.2, 0.28)
    assert clips.entries[0].box == (16, 8, 32)
    (txt / "gone" / "00001.txt").write_text(head + "000001 ten 20 8 8\n")
    with pytest.raises(ValueError, match=r"00001\.txt, line 8: expected FRAME X Y W H"):
        items_of("voxceleb", tmp_path / "videos", tmp_path / "txt")


def test_vox_csv(tmp_path, make_video):
    make_video(tmp_path / "videos" / "DtdEYdViWdw.mp4", 40, 48, 64)
    table = tmp_path / "vox-metadata.csv"
    head = "video_id,start,end,bbox,fps,width,height,partition,person_id\n"
    table.write_text(
        f"{head}DtdEYdViWdw,5,12,320-120-960-600,25,1280,960,train,id10001\n"
        "DtdEYdViWdw,20,30,320-120-960-600,25,1280,960,test,id10002\n"
        "utrA-v8pPm4,3184,3308,204-0-452-360,25,640,360,train,id10001\n"
    )
    out, summary = prepared(tmp_path, "vox-csv", table)
    assert summary.splits == {"train": (1, 7), "test": (1, 10)}
    assert [name for name, *_ in summary.skipped] == ["id10001#utrA-v8pPm4#003184#003308"]
    clips = RecordClips(out, "train")
    assert clips.names == ("id10001#DtdEYdViWdw#000005#000012",)
    assert clips.entries[0].box == (16, 2, 32)  # 640 of 1280 pixels wide, of 64
    frame = list(read_video(tmp_path / "videos" / "DtdEYdViWdw.mp4"))[5]
    np.testing.assert_array_equal(clips.frame(0, 0), cut_out(frame, Square(32, 18, 32), 32))
    for row in ("DtdEYdViWdw,5,12,320-120-960,25,1280,960,train,id1", "DtdEYdViWdw,5"):
        table.write_text(f"{head}{row}\n")
        with pytest.raises(ValueError, match=r"vox-metadata\.csv, line 2: not a row"):
            items_of("vox-csv", tmp_path / "videos", table)


def test_talkinghead(tmp_path, make_video):
    make_video(tmp_path / "videos" / "1lSejjfNHpw_0075.mp4", 20, 48, 64)
    make_video(tmp_path / "videos" / "--Y9imYnfBw_0000.mp4", 20, 48, 64)
    lists = tmp_path / "data_list"
    lists.mkdir()
    (lists / "train_video_tubes.txt").write_text(
        "--Y9imYnfBw_0000, 96, 128, 2, 9, 32, 16, 96, 80\n"
        "--Y9imYnfBw_0001, 96, 128, 2, 9, 32, 16, 96, 80\n"
    )
    (lists / "val_video_tubes.txt").write_text("1lSejjfNHpw_0075,48,64,0,4,8,8,40,40\n")
    out, summary = prepared(tmp_path, "talkinghead-1kh", lists)
    assert summary.splits == {"train": (1, 8), "val": (1, 5)}  # the last frame is part of it
    assert summary.reasons == {"missing": 1}
    clips = RecordClips(out, "train")
    assert clips.names == ("--Y9imYnfBw_0000_S2_E9_L32_T16_R96_B80",)
    assert clips.identities == ("--Y9imYnfBw",)
    frame = list(read_video(tmp_path / "videos" / "--Y9imYnfBw_0000.mp4"))[2]
    np.testing.assert_array_equal(clips.frame(0, 0), cut_out(frame, Square(32, 24, 32), 32))
    (lists / "val_video_tubes.txt").write_text("1lSejjfNHpw_0075,48,64,9,4,8,8,40,40\n")
    with pytest.raises(ValueError, match=r"val_video_tubes\.txt, line 1: expected NAME, H, W, S"):
        items_of("talkinghead-1kh", tmp_path / "videos", lists)


def test_hdtf(tmp_path, make_video):
    make_video(tmp_path / "videos" / "RD_Radio11.mp4", 80, 48, 64)
    make_video(tmp_path / "videos" / "Radio2.mp4", 80, 48, 64)
    lists = tmp_path / "HDTF_dataset"
    lists.mkdir()
    (lists / "RD_annotion_time.txt").write_text(
        "Radio11.mp4 00:00-00:01 00:02-00:03\nRadio2.mp4 00:01-00:02\nRadio6.mp4 00:25-02:00\n"
    )
    (lists / "RD_crop_wh.txt").write_text("Radio11_0.mp4 16 64 8 64\nRadio11_1.mp4 0 96 0 96\n")
    (lists / "RD_resolution.txt").write_text("Radio11.mp4 96\nRadio2.mp4 48\n")
    items = items_of("hdtf", tmp_path / "videos", lists)
    assert list(items) == ["RD_Radio11_0", "RD_Radio11_1", "RD_Radio2_0", "RD_Radio6_0"]
    assert {item.identity for item in items.values()} == {"Radio"}
    assert items["RD_Radio6_0"].missing and items["RD_Radio6_0"].seconds == (25, 120)
    out, summary = prepared(tmp_path, "hdtf", lists)
    assert summary.reasons == {"missing": 1, "no box": 1}
    first = RecordClips(out, "train").names.index("RD_Radio11_0")
    clips = RecordClips(out, "train")
    assert clips.lengths[first] == 25
    # In pixels of a picture of twice the height.
    assert clips.entries[first].box == (8, 4, 32)
    (lists / "RD_annotion_time.txt").write_text("Radio11.mp4 00:00-00:01 soon\n")
    with pytest.raises(ValueError, match=r"RD_annotion_time\.txt, line 1: .* got 'soon'"):
        items_of("hdtf", tmp_path / "videos", lists)


def test_mead(tmp_path, make_video):
    root = tmp_path / "videos"
    for number, view in enumerate(("front", "left_30")):
        make_video(root / "M003" / "video" / view / "angry" / "level_1" / "001.mp4", 3 + number)
    make_video(root / "W009" / "video" / "front" / "neutral" / "level_1" / "010.mp4", 4)
    items = items_of("mead", root)
    assert list(items) == [
        "M003/front/angry/level_1/001",
        "M003/left_30/angry/level_1/001",
        "W009/front/neutral/level_1/010",
    ]
    assert [item.identity for item in items.values()] == ["M003", "M003", "W009"]
    only = Source(root, "mead", only=("*/front/*",))
    assert [item.name.split("/")[1] for item in only.items()] == ["front", "front"]
    with pytest.raises(ValueError, match="no clip has a name like"):
        Source(root, "mead", only=("*/top/*",)).items()


def test_stills_are_a_split_of_their_own(tmp_path):
    frames = [write_png(tmp_path / "videos" / "a" / f"{n}.png", n) for n in range(3)]
    (tmp_path / "videos" / "broken.png").write_text("no picture")
    out, summary = prepared(tmp_path, "stills", mode="center")
    assert summary.splits == {"stills": (3, 3)} and summary.reasons == {"unreadable": 1}
    assert not any("no clip for" in line for line in summary.lines())
    clips = RecordClips(out, "stills")
    assert clips.names == ("a/0.png", "a/1.png", "a/2.png") and set(clips.lengths) == {1}
    np.testing.assert_array_equal(clips.frame(2, 0), frames[2])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_of_the_layout_there(tmp_path, make_video, layout):
    (tmp_path / "videos").mkdir()
    with pytest.raises(ValueError, match=r"videos: no |videos: no videos"):
        list(read_layout(layout, tmp_path / "videos"))
    if layout not in ("folder", "vox-frames", "mead", "stills"):
        make_video(tmp_path / "videos" / "a.mp4", 2)
        with pytest.raises(ValueError, match="name its folder by --annotations"):
            list(read_layout(layout, tmp_path / "videos"))
    with pytest.raises(FileNotFoundError, match="elsewhere: no such file or folder"):
        list(read_layout(layout, tmp_path / "videos", tmp_path / "elsewhere"))


def test_two_videos_of_one_name(tmp_path, make_video):
    make_video(tmp_path / "videos" / "a" / "x.mp4", 2)
    make_video(tmp_path / "videos" / "b" / "x.mp4", 2)
    (tmp_path / "videos" / "val_video_tubes.txt").write_text("x, 48, 64, 0, 1, 0, 0, 9, 9\n")
    with pytest.raises(ValueError, match=r"b/x\.mp4: has the same name as .*a/x\.mp4"):
        list(read_layout("talkinghead-1kh", tmp_path / "videos"))

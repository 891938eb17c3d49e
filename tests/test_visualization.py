"""Pictures: colours and bars that mean what the labels say, sizes, atomic files."""

import numpy as np
import pytest
from PIL import Image

from liax_jax import visualization as vis


def test_float_pictures_are_clipped_and_rounded_never_stretched():
    image = np.array([[[-1, 0, 1], [-3, 0.5, 3]]], np.float32)
    np.testing.assert_array_equal(vis.to_uint8(image), [[[0, 128, 255], [0, 191, 255]]])
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert vis.to_uint8(pixels) is pixels
    np.testing.assert_array_equal(vis.to_uint8(pixels / np.float32(127.5) - 1), pixels)
    with pytest.raises(ValueError, match="int64"):
        vis.to_uint8(np.zeros((2, 2, 3), np.int64))


def test_non_finite_pixels_are_magenta():
    image = np.zeros((1, 3, 3), np.float32)
    image[0, 0, 1], image[0, 1, 2] = np.nan, np.inf
    picture = vis.to_uint8(image)
    np.testing.assert_array_equal(picture[0, :2], [vis.NON_FINITE] * 2)
    np.testing.assert_array_equal(picture[0, 2], [128, 128, 128])


def test_flow_colour_encodes_direction_and_magnitude():
    flow = np.array([[[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [0.5, 0], [9, 0]]], np.float32)
    colors = vis.flow_to_color(flow, max_magnitude=1)[0]
    rest, right, left, down, up, half, far = colors
    np.testing.assert_array_equal(rest, [255, 255, 255])
    np.testing.assert_array_equal(right, [255, 0, 0])
    np.testing.assert_array_equal(left, [0, 255, 255])
    np.testing.assert_array_equal(down, [128, 255, 0])
    np.testing.assert_array_equal(up, [128, 0, 255])
    np.testing.assert_array_equal(half, [255, 128, 128])
    np.testing.assert_array_equal(far, right)
    np.testing.assert_array_equal(vis.flow_to_color(np.full((1, 1, 2), np.nan)), [[[0, 0, 0]]])
    with pytest.raises(ValueError, match="2 channels"):
        vis.flow_to_color(np.zeros((4, 4, 3)))


def test_flow_scale_is_robust_and_at_least_a_pixel():
    flow = np.zeros((64, 64, 2), np.float32)
    assert vis.flow_magnitude_scale(flow) == pytest.approx(2 / 63)
    flow[..., 0] = 0.3
    flow[0, 0] = 50.0
    flow[0, 1] = np.nan
    assert vis.flow_magnitude_scale(flow) == pytest.approx(0.3, rel=1e-5)


def test_mask_is_grey():
    mask = np.array([0, 0.5, 1], np.float32).reshape(1, 3, 1)
    np.testing.assert_array_equal(vis.mask_to_gray(mask)[0], [[0] * 3, [128] * 3, [255] * 3])


def test_bars_have_the_height_and_side_of_their_coefficients():
    picture = vis.coefficient_bars([1.0, -0.5, 0.0, np.nan], height=104, width=80, scale=1.0)
    assert picture.shape == (104, 80, 3)
    up = (picture[:, 5] == vis.POSITIVE_BAR).all(-1)
    down = (picture[:, 25] == vis.NEGATIVE_BAR).all(-1)
    assert up.sum() == 50 and up[2:52].all()
    assert down.sum() == 25 and down[53:78].all()
    assert (picture[:, 45] == vis.BACKGROUND).all(-1).sum() == 103
    assert (picture[:, 65] == vis.NON_FINITE).all(-1).sum() == 103
    assert vis.coefficient_bars(np.ones(100), width=64).shape == (128, 300, 3)
    assert not (vis.coefficient_bars(np.zeros(5)) == vis.POSITIVE_BAR).all(-1).any()
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        vis.coefficient_bars(np.zeros((2, 3)))


def test_upscale_by_whole_factors():
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    enlarged = vis.upscale(picture, 128, smooth=False)
    assert enlarged.shape == (144, 192, 3)
    np.testing.assert_array_equal(enlarged[1::3, 1::3], picture)
    assert vis.upscale(picture, 128).shape == (144, 192, 3)
    assert vis.upscale(picture, 48) is picture


def test_grid_places_tiles_under_written_labels():
    red, blue = np.zeros((40, 60, 3), np.uint8), np.zeros((50, 30, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    grid = vis.image_grid([[red, blue], [blue, red]], ["first", "a label wider than its column"])
    top = vis.LABEL_HEIGHT
    assert grid.shape == (top + 2 * (50 + vis.GAP), 60 + vis.GAP + 60, 3)
    np.testing.assert_array_equal(grid[top : top + 40, :60], red)
    np.testing.assert_array_equal(grid[top + 50 + vis.GAP :][:40, 64:], red)
    for left in (0, 64):
        assert grid[: vis.LABEL_HEIGHT, left : left + 60].max() > 150
    with pytest.raises(ValueError, match="1 tiles for 2 labels"):
        vis.image_grid([[red]], ["a", "b"])
    with pytest.raises(ValueError, match="at least one row"):
        vis.image_grid([], ["a"])


@pytest.mark.parametrize("resolution", [33, 64, 300])
def test_side_by_side_frames_are_even_and_large_enough(resolution):
    compose = vis.SideBySide(["source", "driving", "reconstruction"], resolution)
    tone = [np.full((resolution, resolution, 3), value, np.uint8) for value in (50, 100, 200)]
    frame = compose(*tone)
    assert frame.shape[0] % 2 == 0 and frame.shape[1] % 2 == 0 and frame.dtype == np.uint8
    assert frame.shape[0] >= 256 and frame.shape[1] >= 3 * 256
    bottom = frame[vis.LABEL_HEIGHT + 100]
    for value in (50, 100, 200):
        assert (bottom == value).all(-1).sum() >= 256
    np.testing.assert_array_equal(compose(*tone), frame)


def model_outputs(rng, count, level):
    return {
        "flow/8": rng.normal(size=(count, 8, 8, 3)),
        f"flow/{level}": rng.normal(size=(count, level, level, 3)).astype(np.float32),
        f"mask/{level}": rng.random((count, level, level, 1), dtype=np.float32),
        "alpha_r2t": rng.normal(size=(count, 20)).astype(np.float32),
        "z_s2r": rng.normal(size=(count, 16)),
    }


def test_training_panel_has_a_row_per_example_and_a_column_per_quantity():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    out = model_outputs(rng, 3, 64)
    blank = np.full((3, 64, 64, 3), 2.0, np.float32)
    panel = vis.training_panel(images, images, blank, out)
    step = 128 + vis.GAP
    top = vis.LABEL_HEIGHT
    assert panel.shape == (top + 3 * step, 6 * step - vis.GAP, 3) and panel.dtype == np.uint8
    second = panel[top + step :][:128]
    np.testing.assert_array_equal(second[:, :128], vis.upscale(images[1], 128))
    assert (second[:, 2 * step : 2 * step + 128] == 255).all()
    offsets = np.tanh(out["flow/64"][..., :2])
    flow = vis.flow_to_color(offsets, vis.flow_magnitude_scale(offsets))[1]
    np.testing.assert_array_equal(second[::2, 3 * step : 3 * step + 128 : 2], flow)
    mask = vis.mask_to_gray(out["mask/64"])[1]
    np.testing.assert_array_equal(second[::2, 4 * step : 4 * step + 128 : 2], mask)
    scale = float(np.abs(out["alpha_r2t"]).max())
    bars = vis.coefficient_bars(out["alpha_r2t"][1], 128, 128, scale)
    np.testing.assert_array_equal(second[:, 5 * step :], bars)

    warped = vis.training_panel(images, images, blank, out, warped_source=images, max_rows=2)
    assert warped.shape == (top + 2 * step, 7 * step - vis.GAP, 3)
    shared = (slice(0, top + 2 * step), slice(0, 3 * step - vis.GAP))
    np.testing.assert_array_equal(warped[shared], panel[shared])


def test_training_panel_shows_a_diverged_model():
    rng = np.random.default_rng(0)
    out = {key: np.full_like(value, np.nan) for key, value in model_outputs(rng, 1, 32).items()}
    images = np.full((1, 32, 32, 3), np.nan, np.float32)
    panel = vis.training_panel(images, images, images, out)
    assert (panel[-60, :128] == vis.NON_FINITE).all()


def test_panel_without_flow_names_what_it_found():
    with pytest.raises(ValueError, match="alpha_r2t, z_s2r"):
        vis.finest_level({"z_s2r": 0, "alpha_r2t": 0})


def test_png_survives_the_round_trip_and_leaves_nothing_else(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "panels" / "step_10.png"
    vis.save_png(path, np.zeros_like(picture))
    vis.save_png(path, picture)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), picture)
    assert [file.name for file in path.parent.iterdir()] == ["step_10.png"]


def test_a_failed_png_keeps_the_earlier_one(tmp_path):
    path = tmp_path / "panel.png"
    vis.save_png(path, np.full((4, 4, 3), 7, np.uint8))
    with pytest.raises(TypeError):
        vis.save_png(path, np.zeros((4, 4, 5), np.uint8))
    assert np.asarray(Image.open(path))[0, 0, 0] == 7
    assert [file.name for file in tmp_path.iterdir()] == ["panel.png"]

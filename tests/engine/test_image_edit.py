"""Cutting, turning, retouching and marking, judged by ImageMagick where it knows the operation."""

import io

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from engine.converters.raster import turns
from engine.converters.raster.geometry import Layout
from tests.engine.calls import convert, sample
from tests.engine.judges import _CONVERT, Seen, frames, psnr, run


def _by_imagemagick(upload: bytes, *options: str) -> Image.Image:
    raw = run(_CONVERT, "png:-", *options, "+repage", "ppm:-", stdin=upload)
    return Image.open(io.BytesIO(raw)).convert("RGB")


def _ours(**options: object) -> Image.Image:
    return Seen(convert(sample("photo.png"), "png", "png", **options).file, "png").rgb()


@pytest.mark.parametrize(
    ("options", "as_imagemagick"),
    [
        ({"crop": "40,30,100,80"}, ("-crop", "100x80+40+30")),
        ({"crop": "300,200,100,80"}, ("-crop", "20x40+300+200")),
        ({"crop": "1:1"}, ("-gravity", "center", "-crop", "240x240+0+0")),
        ({"crop": "1:1", "position": "left"}, ("-crop", "240x240+0+0")),
        ({"crop": "1:1", "position": "bottom-right"}, ("-crop", "240x240+80+0")),
        ({"crop": "1:1", "focus": "0.3,0.5"}, ("-crop", "240x240+0+0")),
        ({"crop": "1:1", "focus": "0.5,0.1"}, ("-crop", "240x240+40+0")),
        ({"rotate": 90}, ("-rotate", "90")),
        ({"rotate": -90}, ("-rotate", "270")),
        ({"rotate": 180}, ("-rotate", "180")),
        ({"flip": True}, ("-flip",)),
        ({"flop": True}, ("-flop",)),
        ({"rotate": 90, "flip": True}, ("-rotate", "90", "-flip")),
        ({"rotate": 270, "flip": True, "flop": True}, ("-rotate", "270", "-flip", "-flop")),
        ({"negate": True}, ("-negate",)),
        (
            {"rotate": 90, "crop": "10,20,60,50"},
            ("-rotate", "90", "+repage", "-crop", "60x50+10+20"),
        ),
    ],
)  # fmt: skip
def test_what_moves_or_swaps_pixels_is_exact(
    options: dict[str, object], as_imagemagick: tuple[str, ...]
) -> None:
    expected = _by_imagemagick(sample("photo.png"), *as_imagemagick)
    made = _ours(**options)
    assert made.size == expected.size
    assert psnr(made, expected) == 99


@pytest.mark.parametrize(
    ("options", "as_imagemagick", "least"),
    [
        ({"gamma": 1.8}, ("-gamma", "1.8"), 45),
        ({"brightness": 1.3}, ("-evaluate", "multiply", "1.3"), 45),
        ({"blur": 3}, ("-blur", "0x3"), 38),
        ({"saturation": 0}, ("-grayscale", "Rec601Luma"), 40),
        ({"colour_space": "grey"}, ("-grayscale", "Rec601Luma"), 40),
    ],
)
def test_retouching_agrees_with_imagemagick(
    options: dict[str, object], as_imagemagick: tuple[str, ...], least: int
) -> None:
    assert psnr(_ours(**options), _by_imagemagick(sample("photo.png"), *as_imagemagick)) > least


def test_contrast_keeps_middle_grey_and_spreads_the_rest() -> None:
    shades = Image.linear_gradient("L")
    made = Seen(convert(_png(shades), "png", "png", contrast=2).file, "png").rgb()
    row = [made.getpixel((9, y))[0] for y in (32, 127, 128, 200)]
    assert row[0] == 0
    assert abs(row[1] - 127) <= 1
    assert row[3] == 255


def test_sharpening_raises_the_differences_between_neighbours() -> None:
    def roughness(image: Image.Image) -> float:
        moved = ImageChops.offset(image, 1, 0)
        return ImageStat.Stat(ImageChops.difference(image, moved).convert("L")).mean[0]

    assert roughness(_ours(width=160, sharpen=2)) > 1.15 * roughness(_ours(width=160))


def test_blurring_does_not_let_hidden_colours_show() -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (10, 10, 30, 30))
    seen = Seen(convert(_png(image), "png", "png", blur=3).file, "png")
    red, blue = seen.rgb().getpixel((9, 20))[0], seen.rgb().getpixel((9, 20))[2]
    assert red < 8
    assert blue > 240


@pytest.mark.parametrize("orientation", range(1, 9))
def test_edits_count_in_what_is_seen_however_the_camera_lay(orientation: int) -> None:
    options = {"rotate": 90, "flip": True, "crop": "3:2", "position": "top-left", "width": 60}
    upright = convert(sample("orientation-1.jpg"), "jpeg", "png", **options).file
    turned = convert(sample(f"orientation-{orientation}.jpg"), "jpeg", "png", **options).file
    assert Seen(turned, "png").size == (60, 40)
    assert psnr(Seen(turned, "png").rgb(), Seen(upright, "png").rgb()) > 27


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_box_is_found_again_in_the_stored_picture(turn: int) -> None:
    stored = Image.open(io.BytesIO(sample("photo.png"))).resize((40, 30))
    seen = turns.turned(stored, turn)
    box = (3, 5, 13, 25)
    layout = turns.as_stored(Layout(box, (10, 20), (10, 20)), seen.size, turn)
    cut = stored.crop(tuple(int(edge) for edge in layout.crop))
    assert turns.turned(cut, turn).tobytes() == seen.crop(box).tobytes()


@pytest.mark.parametrize("first", range(1, 9))
@pytest.mark.parametrize("then", range(1, 9))
def test_two_turns_are_one(first: int, then: int) -> None:
    picture = Image.open(io.BytesIO(sample("photo.png"))).resize((8, 6))
    twice = turns.turned(turns.turned(picture, first), then)
    assert turns.turned(picture, turns.composed(first, then)).tobytes() == twice.tobytes()


def test_a_turn_by_few_degrees_bares_the_background() -> None:
    made = convert(sample("photo.png"), "png", "jpeg", rotate=10, background="00ff00", quality=95)
    seen = Seen(made.file, "jpeg")
    # 320 x 240 turned by 10 degrees needs 357 x 292.
    assert abs(seen.size[0] - 357) <= 2
    assert abs(seen.size[1] - 292) <= 2
    red, green, blue = seen.rgb().getpixel((3, 3))
    assert green > 240
    assert max(red, blue) < 20
    expected = _by_imagemagick(sample("photo.png"), "-background", "#00ff00", "-rotate", "10")
    middle = (100, 80, 250, 200)
    ours, theirs = (image.crop(middle).resize((75, 60)) for image in (seen.rgb(), expected))
    assert psnr(ours, theirs) > 22


def test_the_bared_corners_are_clear_where_the_target_can() -> None:
    seen = Seen(convert(sample("photo.png"), "png", "png", rotate=10).file, "png")
    assert seen.alpha().getpixel((3, 3)) == 0
    assert seen.alpha().getpixel((170, 140)) == 255


def test_borders_of_one_colour_are_trimmed() -> None:
    image = Image.new("RGB", (100, 80), (250, 250, 250))
    image.paste((20, 60, 90), (30, 20, 70, 50))
    assert Seen(convert(_png(image), "png", "png", trim=True).file, "png").size == (40, 30)
    assert Seen(convert(_png(image), "png", "jpeg", trim=True, width=20).file, "jpeg").size == (
        20,
        15,
    )


def test_clear_borders_are_trimmed() -> None:
    image = Image.new("RGBA", (100, 80), (1, 2, 3, 0))
    image.paste((20, 60, 90, 255), (30, 20, 70, 50))
    assert Seen(convert(_png(image), "png", "webp", trim=True).file, "webp").size == (40, 30)


def test_a_picture_of_one_colour_is_not_trimmed_away() -> None:
    reply = convert(_png(Image.new("RGB", (30, 20), "red")), "png", "png", trim=True)
    assert Seen(reply.file, "png").size == (30, 20)
    assert any("trim" in warning for warning in reply.warnings)


def test_an_animation_is_trimmed_alike_in_every_frame() -> None:
    made = convert(sample("animation.gif"), "gif", "gif", trim=True).file
    assert len(frames(made, "gif")) == 5
    assert len(set(frames(made, "gif"))) == 1


def test_a_crop_outside_the_picture_says_how_large_it_is() -> None:
    reply = convert(sample("photo.png"), "png", "png", crop="400,0,10,10")
    assert reply.error == "TargetImpossible"
    assert "320 x 240" in reply.detail


@pytest.mark.parametrize("target", ["jpeg", "tiff"])
def test_inks_look_like_the_picture_and_use_black(target: str) -> None:
    reply = convert(sample("photo.png"), "png", target, colour_space="cmyk", quality=95)
    seen = Seen(reply.file, target)
    assert seen.colourspace == "CMYK"
    assert any("press" in warning for warning in reply.warnings)
    raw = run(_CONVERT, f"{target}:-", "-depth", "8", "cmyk:-", stdin=reply.file)
    inks = Image.frombytes("CMYK", seen.size, raw)
    assert psnr(inks.convert("RGB"), Seen(sample("photo.png"), "png").rgb()) > 36
    assert ImageStat.Stat(inks).mean[3] > 30


@pytest.mark.parametrize("target", ["png", "tiff", "bmp", "gif"])
def test_a_bitmap_has_black_and_white_dots_only(target: str) -> None:
    made = Seen(convert(sample("photo.png"), "png", target, colour_space="bitmap").file, target)
    assert {colour for _, colour in made.rgb().getcolors()} == {(0, 0, 0), (255, 255, 255)}


def test_a_palette_makes_a_png_a_third_and_keeps_the_picture() -> None:
    plain = convert(sample("photo.png"), "png", "png").file
    reduced = convert(sample("photo.png"), "png", "png", colours=128).file
    assert len(reduced) < len(plain) / 2
    assert reduced[25] == 3  # IHDR: colour type palette
    assert psnr(Seen(reduced, "png").rgb(), Seen(plain, "png").rgb()) > 31


def test_a_palette_keeps_graded_transparency() -> None:
    made = Seen(convert(sample("alpha.png"), "png", "png", colours=64).file, "png")
    assert psnr(made.alpha(), Seen(sample("alpha.png"), "png").alpha()) > 30


def test_a_gif_has_no_more_colours_than_asked_for() -> None:
    made = Seen(convert(sample("photo.png"), "png", "gif", colours=16).file, "gif")
    assert len(made.rgb().getcolors()) <= 16


@pytest.mark.parametrize("target", ["jpeg", "webp", "avif", "jp2"])
def test_the_best_quality_is_found_that_fits_a_size(target: str) -> None:
    reply = convert(sample("photo.png"), "png", target, bytes_max=6000)
    assert 3500 < len(reply.file) <= 6000
    assert psnr(Seen(reply.file, target).rgb(), Seen(sample("photo.png"), "png").rgb()) > 26


def test_a_size_that_nothing_fits_is_impossible() -> None:
    reply = convert(sample("photo.png"), "png", "jpeg", bytes_max=500)
    assert reply.error == "TargetImpossible"
    assert "500 bytes" in reply.detail


@pytest.mark.parametrize(
    ("name", "source", "count"), [("pages.tiff", "tiff", 3), ("animation.gif", "gif", 5)]
)
def test_one_page_or_frame_can_be_chosen(name: str, source: str, count: int) -> None:
    last = convert(sample(name), source, "png", page=count)
    assert psnr(Seen(last.file, "png").rgb(), Seen(sample(name), source, count - 1).rgb()) > 30
    beyond = convert(sample(name), source, "png", page=count + 1)
    assert beyond.error == "TargetImpossible"
    assert str(count) in beyond.detail


def test_words_stand_where_they_should_and_nowhere_else() -> None:
    plain = _ours()
    words = {"watermark_text": "Ephemera", "watermark_scale": 0.5, "watermark_opacity": 1}
    for position, box in (
        ("bottom-right", (150, 120, 320, 240)),
        ("top-left", (0, 0, 172, 120)),
        ("centre", (70, 80, 250, 160)),
    ):
        marked = _ours(**words, watermark_position=position)
        changed = ImageChops.difference(plain, marked).getbbox()
        assert changed is not None
        assert box[0] <= changed[0] < changed[2] <= box[2]
        assert box[1] <= changed[1] < changed[3] <= box[3]
        assert abs(changed[2] - changed[0] - 160) < 20


def test_tiled_words_are_everywhere() -> None:
    changed = ImageChops.difference(
        _ours(), _ours(watermark_text="Draft", watermark_position="tiled")
    )
    for box in ((0, 0, 160, 120), (160, 0, 320, 120), (0, 120, 160, 240), (160, 120, 320, 240)):
        assert changed.crop(box).getbbox() is not None


def test_a_second_picture_is_laid_over_the_first() -> None:
    mark = Image.new("RGBA", (20, 10), (255, 0, 0, 255))
    reply = convert(
        [sample("photo.png"), _png(mark)],
        "png",
        "png",
        operation="watermark",
        watermark_position="top-left",
        watermark_scale=0.25,
        watermark_opacity=1,
    )
    seen = Seen(reply.file, "png").rgb()
    assert ImageChops.difference(seen, _ours()).getbbox() == (7, 7, 87, 47)
    assert seen.getpixel((40, 20)) == (255, 0, 0)


def test_a_mark_is_on_every_frame_and_a_clear_ground_stays_clear() -> None:
    reply = convert(sample("animation.webp"), "webp", "png", watermark_text="x", metadata="keep")
    marked = Image.open(io.BytesIO(reply.file))
    assert marked.n_frames == 5
    assert marked.convert("RGBA").getchannel("A").getextrema()[0] == 0


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "height"), [(600, 376), (380, 238)])
def test_a_jpeg_of_odd_sides_that_is_decoded_at_a_fraction_stays_where_it_was(
    width: int, height: int
) -> None:
    """1927 x 1207 is no multiple of 2 or 4: its last pixels are parts of one."""
    soft = Image.effect_noise((1927, 1207), 120).filter(ImageFilter.GaussianBlur(6))
    upload = io.BytesIO()
    ImageOps.autocontrast(soft).convert("RGB").save(upload, "JPEG", quality=95)
    size = ("-filter", "Lanczos", "-resize", f"{width}x{height}!")
    whole = run(_CONVERT, "jpeg:-", *size, "ppm:-", stdin=upload.getvalue())
    ours = convert(upload.getvalue(), "jpeg", "png", width=width, height=height, fit="fill")
    # 41.8 dB where the scale was taken from the rounded size.
    assert psnr(Image.open(io.BytesIO(whole)).convert("RGB"), Seen(ours.file, "png").rgb()) > 47

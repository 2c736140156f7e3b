"""Pictures of pages, judged by ImageMagick; and pages that ask for what they may not have."""

import pytest

from engine.errors import OptionInvalid, SourceTooComplex, TargetImpossible
from engine.registry import parse_options
from tests.engine.browsing import CONVERTERS, browser, needs_browser, sample
from tests.engine.judges import Seen, psnr

pytestmark = needs_browser

PAGE = sample("page.html")
RED, BLUE = (200, 30, 30), (30, 30, 200)


async def test_a_picture_shows_the_page_as_a_screen_does() -> None:
    async with browser() as chromium:
        png = Seen(await chromium.file(PAGE, "png"), "png")
        assert png.size == (1280, 800)
        picture = png.rgb()
        assert picture.getpixel((1270, 50)) == RED
        assert picture.getpixel((640, 150)) == BLUE
        assert picture.getpixel((640, 700)) == (255, 255, 255)
        for target in ("jpeg", "webp"):
            lossy = Seen(await chromium.file(PAGE, target, quality=90), target)
            assert psnr(lossy.rgb(), picture) > 35


async def test_the_window_the_whole_page_or_one_element() -> None:
    tall = "<body style='margin:0;background:rgb(30,30,200)'><p id=x style='margin:0;width:120px;"
    tall += "height:40px;background:rgb(200,30,30)'></p><div style='height:3000px'></div>"
    async with browser() as chromium:
        whole = await chromium.file(tall, "png", width=400, height=300)
        assert Seen(whole, "png").size == (400, 3040)
        assert Seen(whole, "png").rgb().getpixel((200, 3030)) == BLUE
        window = await chromium.file(tall, "png", width=400, height=300, full_page=False)
        assert Seen(window, "png").size == (400, 300)
        element = Seen(await chromium.file(tall, "png", element="#x", scale=2), "png")
        assert element.size == (240, 80)
        assert element.rgb().getcolors() == [(240 * 80, RED)]
        with pytest.raises(TargetImpossible, match="element: no visible"):
            await chromium.file(tall, "png", element="#y")
        with pytest.raises(OptionInvalid, match="not a CSS selector"):
            await chromium.file(tall, "png", element="[[[")
        with pytest.raises(SourceTooComplex, match="16384"):
            await chromium.file(tall.replace("3000", "30000"), "png")


async def test_a_drawing_keeps_its_size_and_its_transparency() -> None:
    async with browser() as chromium:
        output = await chromium.output(
            sample("drawing.svg"), "svg", "png", background=False, scale=2
        )
        seen = Seen(bytes(output.files[0]), "png")
        assert seen.size == (600, 300)
        assert seen.rgb().getpixel((100, 100)) == (0, 128, 0)
        assert seen.alpha().getpixel((5, 5)) == 0
        assert seen.alpha().getpixel((100, 100)) == 255


async def test_what_a_page_refers_to_is_not_fetched_and_said() -> None:
    page = """<link rel=stylesheet href=style.css><script src="//cdn.example/a.js"></script>
        <img src="https://example.com/a.png"><img src="b.png"><img src="file:///etc/passwd">
        <style>@font-face { font-family: f; src: url(f.woff2) } p { font-family: f }</style>
        <p>text<iframe src="https://example.com/"></iframe>
        <p id=o><script>fetch("https://example.com/x").catch(() => o.id = "failed")</script>
        <script>setTimeout(() => location = "https://example.com/away", 20)</script>
        <div style="position:fixed;inset:0;background:rgb(30,30,200)"></div>"""
    async with browser() as chromium:
        output = await chromium.output(
            page.encode(), "html", "png", wait_for="#failed", wait_ms=300
        )
    (warning,) = output.warnings
    for part in (
        "style sheets (1)",
        "scripts (1)",
        "images (2)",
        "local files (1)",
        "fonts (1)",
        "framed pages (1)",
        "requests of scripts (1)",
        "pages that it leads to (1)",
    ):
        assert part in warning
    # It stayed where it was, in spite of its wish to leave.
    assert Seen(bytes(output.files[0]), "png").rgb().getpixel((640, 400)) == BLUE


async def test_a_page_that_tries_everything_is_shown_nevertheless() -> None:
    tries = [
        "alert(1)", "confirm(2)", "print()", "window.open('https://example.com')",
        "new RTCPeerConnection()", "new WebSocket('wss://example.com')",
        "navigator.geolocation.getCurrentPosition(() => 0)", "new AudioContext()",
        "navigator.mediaDevices.getUserMedia({video: true}).catch(() => 0)",
        "localStorage.a = 1", "indexedDB.open('x')", "Notification.requestPermission()",
        "new Worker(URL.createObjectURL(new Blob(['postMessage(1)'])))",
        "document.createElement('canvas').getContext('webgl')",
        "navigator.serviceWorker.register('sw.js').catch(() => 0)",
    ]  # fmt: skip
    script = "".join(f"try {{ {one} }} catch (e) {{}}\n" for one in tries)
    page = f"<body style='background:rgb(30,30,200)'><script>{script}</script>"
    async with browser() as chromium:
        png = await chromium.file(page, "png", wait_ms=200)
    assert Seen(png, "png").rgb().getcolors() == [(1280 * 800, BLUE)]


async def test_animations_give_their_memory_back() -> None:
    """Each frame is shared memory; all of them together are more than there is."""
    page = """<canvas id=c width=1500 height=1500></canvas><p id=o><script>
        let n = 0; const x = c.getContext("2d");
        async function f() { x.fillStyle = `hsl(${n} 90% 50%)`; x.fillRect(0, 0, 1500, 1500);
          await createImageBitmap(c); if (++n < 70) requestAnimationFrame(f); else o.id = "done" }
        f()</script>"""
    async with browser() as chromium:
        assert Seen(await chromium.file(page, "png", wait_for="#done"), "png").size[1] > 1500


def test_a_transparent_jpeg_is_refused() -> None:
    with pytest.raises(OptionInvalid, match="no transparency"):
        parse_options(CONVERTERS["browser.capture"], {"background": "false"}, target="jpeg")

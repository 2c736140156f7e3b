"""What the browser family offers: declarations only."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.browser.catalogue_places import CHROMIUM, LIBRARY, READS
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

SOURCES = ("html", "mhtml", "svg")
IMAGES = ("png", "jpeg", "webp")

# A page that was told to wait must be through before the deadline of 60 s.
WAIT_MS_MAX = 10_000
_TEMPLATE_MAX = 4_000
_SELECTOR_MAX = 500
# What one bitmap of Chromium may measure in each direction.
SIDE_PX_MAX = 16_384

_PAGE_RANGES = (
    r"^\s*(\d{1,5}(\s*-\s*(\d{1,5})?)?|-\s*\d{1,5})(\s*,\s*(\d{1,5}(\s*-\s*(\d{1,5})?)?))*\s*$"
)


class _PageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What both operations take: how the page is loaded."""

    media: Annotated[
        Literal["auto", "print", "screen"],
        Meta(
            description="Which of the page's style sheets apply. auto: print for a PDF, screen for"
            " an image.",
            examples=["screen"],
        ),
    ] = "auto"
    javascript: Annotated[
        bool,
        Meta(
            description="Whether the page's scripts run. They have no network, no files and no"
            " just-in-time compiler; a conversion without them is quicker.",
            examples=[False],
        ),
    ] = True
    wait_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=WAIT_MS_MAX,
            description="Milliseconds to wait after the page has loaded, for scripts that go on.",
            examples=[500],
        ),
    ] = 0
    wait_for: Annotated[
        str,
        Meta(
            max_length=_SELECTOR_MAX,
            description="CSS selector of an element to wait for, at most 10 seconds.",
            examples=["#chart svg"],
        ),
    ] = ""
    background: Annotated[
        bool,
        Meta(
            description="Background colours and pictures of the page. false: a PDF without them, to"
            " save ink; a PNG or WebP image that is transparent where the page is empty.",
            examples=[False],
        ),
    ] = True


class PrintOptions(_PageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of browser.print: the page set on paper, its text selectable, its links alive."""

    page_size: Annotated[
        Literal[
            "auto", "a2", "a3", "a4", "a5", "a6", "letter", "legal", "tabloid", "ledger", "single"
        ],
        Meta(
            description="Size of the paper. auto: what the page's own @page rule says, or else A4;"
            " a drawing's own size. single: one page as long as the content, as wide as A4 or"
            " `width_mm`.",
            examples=["letter"],
        ),
    ] = "auto"
    width_mm: (
        Annotated[
            float,
            Meta(ge=20, le=5_000, description="Width of the paper in millimetres.", examples=[100]),
        ]
        | None
    ) = None
    height_mm: (
        Annotated[
            float,
            Meta(
                ge=20, le=5_000, description="Height of the paper in millimetres.", examples=[150]
            ),
        ]
        | None
    ) = None
    orientation: Annotated[
        Literal["portrait", "landscape"],
        Meta(description="Whether the paper stands or lies.", examples=["landscape"]),
    ] = "portrait"
    margin_mm: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=500,
                description="White on each side, in millimetres: 10 for a page, 0 for a drawing.",
                examples=[20],
            ),
        ]
        | None
    ) = None
    margin_top_mm: (
        Annotated[
            float,
            Meta(ge=0, le=500, description="White at the top, where it differs.", examples=[25]),
        ]
        | None
    ) = None
    margin_right_mm: (
        Annotated[
            float,
            Meta(ge=0, le=500, description="White at the right, where it differs.", examples=[15]),
        ]
        | None
    ) = None
    margin_bottom_mm: (
        Annotated[
            float,
            Meta(ge=0, le=500, description="White at the bottom, where it differs.", examples=[25]),
        ]
        | None
    ) = None
    margin_left_mm: (
        Annotated[
            float,
            Meta(ge=0, le=500, description="White at the left, where it differs.", examples=[15]),
        ]
        | None
    ) = None
    scale: Annotated[
        float,
        Meta(ge=0.1, le=2, description="How large the content is drawn.", examples=[0.8]),
    ] = 1.0
    header: Annotated[
        str,
        Meta(
            max_length=_TEMPLATE_MAX,
            description="HTML at the top of each page, within the margin. Elements of the classes"
            " date, title, pageNumber and totalPages are filled in.",
            examples=['<b class="title"></b>'],
        ),
    ] = ""
    footer: Annotated[
        str,
        Meta(
            max_length=_TEMPLATE_MAX,
            description="HTML at the bottom of each page, like `header`.",
            examples=['<span class="pageNumber"></span> / <span class="totalPages"></span>'],
        ),
    ] = ""
    pages: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=_PAGE_RANGES,
            description="Which of the printed pages to keep, such as 1-5,8.",
            examples=["1-5,8"],
        ),
    ] = "1-"
    outline: Annotated[
        bool,
        Meta(description="Bookmarks made from the page's headings.", examples=[True]),
    ] = False
    tagged: Annotated[
        bool,
        Meta(
            description="Mark the document's structure for screen readers (a tagged PDF).",
            examples=[False],
        ),
    ] = True


class CaptureOptions(_PageOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of browser.capture: the page as a picture."""

    width: (
        Annotated[
            int,
            Meta(
                ge=16,
                le=8_192,
                description="Width of the window in CSS pixels: 1280, or a drawing's own.",
                examples=[1920],
            ),
        ]
        | None
    ) = None
    height: (
        Annotated[
            int,
            Meta(
                ge=16,
                le=8_192,
                description="Height of the window in CSS pixels: 800, or a drawing's own.",
                examples=[1080],
            ),
        ]
        | None
    ) = None
    full_page: Annotated[
        bool,
        Meta(
            description="The whole page however long it is, or only what the window shows.",
            examples=[False],
        ),
    ] = True
    element: Annotated[
        str,
        Meta(
            max_length=_SELECTOR_MAX,
            description="CSS selector of the one element to show; the first that matches.",
            examples=["#invoice"],
        ),
    ] = ""
    scale: Annotated[
        float,
        Meta(
            ge=0.25,
            le=4,
            description="Pixels of the image for each CSS pixel: 2 for a high-density screen.",
            examples=[2],
        ),
    ] = 1.0
    quality: Annotated[
        int,
        Meta(ge=1, le=100, description="Quality of a JPEG or WebP image.", examples=[75]),
    ] = 85


def check_print(options: PrintOptions, target: str) -> None:
    """Refuse what contradicts itself. Raises OptionInvalid."""
    del target
    if (options.width_mm is None) != (options.height_mm is None) and options.page_size != "single":
        raise OptionInvalid("width_mm and height_mm: the size of a paper takes both of them")
    if options.height_mm is not None and options.page_size == "single":
        raise OptionInvalid("height_mm: a single page is as long as its content")
    if options.width_mm is not None and options.page_size not in {"auto", "single"}:
        raise OptionInvalid("page_size: leave it out where width_mm and height_mm are given")


def check_capture(options: CaptureOptions, target: str) -> None:
    """Refuse a transparent JPEG. Raises OptionInvalid."""
    if not options.background and target == "jpeg":
        raise OptionInvalid("background: a JPEG image has no transparency; take png or webp")


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="browser.print",
        family="browser",
        title="Print a web page",
        sources=SOURCES,
        targets=("pdf",),
        options=PrintOptions,
        run="engine.converters.browser.printing:print_pages",
        check=check_print,
        default=True,
        credits=2,
    ),
    Converter(
        name="browser.capture",
        family="browser",
        title="Take a picture of a web page",
        sources=SOURCES,
        targets=IMAGES,
        options=CaptureOptions,
        run="engine.converters.browser.capturing:capture",
        check=check_capture,
        default=True,
        credits=2,
    ),
)

FAMILY = Family(
    name="browser",
    preload=("engine.task", "engine.converters.browser.warm"),
    warm="engine.converters.browser.warm:warm",
    touch="engine.converters.browser.warm:touch",
    program=CHROMIUM,
    reads=READS,
    # Mojo, over which its parts talk even where they are threads of one process.
    pairs=True,
    # Once, for the arena of `memory.c`, which then forbids it to the browser.
    shares=True,
    needs_files=(CHROMIUM, LIBRARY),
    calls=(
        # Its event loops.
        "epoll_create1",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        "eventfd2",
        # Flags of its pipes and sockets; a font is opened a second time.
        "fcntl",
        "dup",
        # It asks whom it runs as.
        "getresuid",
        "getresgid",
    ),
    limits=Limits(
        # It reserves terabytes that it never touches (V8's cage, the allocators' pools), so this
        # can say nothing; what may be written to is bounded instead. Half of it is a large page.
        address_space_bytes=1 << 46,
        data_bytes=1536 * MIB,
        cpu_s=60,
        wall_s=60.0,
        # It crosses to the browser as base64 within one message, of which that takes 100 MB.
        input_bytes_max=64 * MIB,
        # Whether it may start threads; a browser has some thirty.
        threads=64,
    ),
    bounds=Bounds(),
    # A spare starts its browser before it is ready, which takes 0.3 s on an idle core.
    prepares=True,
    spawn_max_s=15.0,
)

"""The little language of page ranges: "1-3,7,9-", "last-1", "odd".

Items are joined by commas and keep their order; pages may repeat. N is a page, N-M a range that
runs backwards where M is smaller, N- runs to the end, -M from the start, `last` is the last page.
"""

from engine.errors import OptionInvalid, SourceTooComplex, TargetImpossible

_END = "([1-9][0-9]{0,6}|last)"
_ITEM = f"(odd|even|{_END}(-{_END}?)?|-{_END})"
PATTERN = f"^{_ITEM}(,{_ITEM})*$"


def parse_items(text: str, count: int) -> list[list[int]]:
    """The pages (from 0) of each item, for a document of `count` pages.

    Raises TargetImpossible for a page beyond the end.
    """
    return [_item(item, count) for item in text.split(",")]


def parse_pages(text: str, count: int, *, pages_max: int) -> list[int]:
    """All pages (from 0) in order. Raises TargetImpossible, SourceTooComplex."""
    pages: list[int] = []
    for item in text.split(","):
        pages += _item(item, count)
        if len(pages) > pages_max:
            raise SourceTooComplex(f"the result would have more than {pages_max} pages, the limit")
    return pages


def _item(item: str, count: int) -> list[int]:
    if item in {"odd", "even"}:
        return list(range(item == "even", count, 2))
    first, dash, last = item.partition("-")
    begin = _page(first or "1", count)
    end = _page(last or "last", count) if dash else begin
    step = 1 if end >= begin else -1
    return list(range(begin, end + step, step))


def _page(text: str, count: int) -> int:
    if not text.isdecimal() and text != "last":
        raise OptionInvalid(f"pages: {text[:20]!r} is not a page")
    number = count if text == "last" else int(text)
    if not 1 <= number <= count:
        raise TargetImpossible(
            f"page {number} does not exist: the document has {count}"
            f" {'page' if count == 1 else 'pages'}"
        )
    return number - 1

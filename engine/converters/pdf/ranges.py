"""Page ranges: the pdf family's name for converters/ranges.py, which text recognition shares."""

from engine.converters.ranges import PATTERN, parse_items, parse_pages

__all__ = ["PATTERN", "parse_items", "parse_pages"]

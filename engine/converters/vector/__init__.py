"""Drawings: SVG drawn as pixels, or put on a page as it is, by typst and the resvg in it."""

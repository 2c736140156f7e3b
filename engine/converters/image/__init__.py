"""Raster images, by Pillow."""

"""Pixels, for every family that has some: options, geometry, colours, and writing what comes out.

No family of its own: the image and photo families share it, and each brings its decoders.
"""

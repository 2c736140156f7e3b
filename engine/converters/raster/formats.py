"""Which formats the families of pictures share: names only, read by their catalogues."""

# What the web and cameras are made of; the pdf family puts these on pages as they are.
RASTER = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")
OTHERS = ("ico", "icns", "jp2", "tga", "ppm", "pgm", "pbm", "dds", "pcx", "sgi")
# What Pillow writes, and what it only reads.
TARGETS = (*RASTER, *OTHERS)
READ_ONLY = ("psd", "cur", "pnm")
SOURCES = (*TARGETS, *READ_ONLY)
# What a watermark may be.
MARKS = ("png", "webp", "gif", "avif", "jpeg")

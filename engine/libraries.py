"""Which libraries do the work of a family, and in which version they are installed here.

Read from the installation's metadata by the trusted side: a zygote imports from the same place,
and a worker that was taken over could say what it likes.
"""

import functools
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

# By family, the distributions whose code touches a customer's file.
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    # Its work is done by a program, Debian's chromium-headless-shell.
    "browser": (),
    "data": (
        "fastavro",
        "lxml",
        "msoffcrypto-tool",
        "olefile",
        "pyarrow",
        "python-calamine",
        "pyyaml",
        "tomli_w",
        "xlsxwriter",
    ),
    "document": ("lxml", "olefile", "pillow", "pypandoc_binary", "python-oxmsg", "typst"),
    "archive": ("inflate64", "py7zr", "pycryptodomex", "pyppmd", "zstandard"),
    "image": (
        "blurhash",
        "cykooz-resizer",
        "imagequant",
        "mozjpeg-lossless-optimization",
        "pillow",
        "zxing-cpp",
    ),
    "media": ("av", "pillow"),
    "ocr": ("fonttools", "img2pdf", "pikepdf", "pillow", "pypdfium2", "tesserocr"),
    "office": ("cryptography", "msoffcrypto-tool", "olefile", "pikepdf", "pillow", "pypdfium2"),
    "signing": ("asn1crypto", "cryptography", "fonttools", "pikepdf"),
    "photo": (
        "cykooz-resizer",
        "imagecodecs",
        "imagequant",
        "numpy",
        "pi_heif",
        "pillow",
        "pyoxipng",
        "rawpy",
    ),
    "pdf": (
        "fonttools",
        "img2pdf",
        "lxml",
        "pdf-oxide",
        "pdfminer.six",
        "pdfplumber",
        "pikepdf",
        "pillow",
        "pypdfium2",
        "xlsxwriter",
    ),
    "misc": ("brotli", "fonttools", "lxml", "pysubs2"),
    "vector": ("cykooz-resizer", "imagequant", "lxml", "pillow", "typst"),
    "solid": (
        "ezdxf",
        "fonttools",
        "lxml",
        "networkx",
        "numpy",
        "reportlab",
        "resvg_py",
        "trimesh",
    ),
}


@functools.cache
def versions(family: str) -> Mapping[str, str]:
    """Versions by distribution, as they were when this process first asked."""
    found = {}
    for name in LIBRARIES.get(family, ()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an optional one
            continue
    return found

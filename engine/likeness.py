"""Which formats are kinds of others: a GPX track is XML, an OpenDocument text is a ZIP.

The sniffer says the most particular name; this says what else that file is. So a name for which the
catalogue has no row becomes the next one that has, a pair that only the general format has is still
found, and a claim that is true but less particular than the bytes is believed.
"""

import functools

from engine.formats import ANY, FORMATS, find

# Each kind and the one it is a special case of.
_IS_A = {
    "apng": "png",
    **dict.fromkeys(("pbm", "pgm", "ppm", "pam", "pfm"), "pnm"),
    # Camera raw files that are TIFFs to any reader that does not know them.
    **dict.fromkeys(
        ("dng", "cr2", "nef", "nrw", "arw", "sr2", "pef", "srw", "3fr", "iiq", "kdc", "dcr"),
        "tiff",
    ),
    **dict.fromkeys(("erf", "mef", "mos", "rwl"), "tiff"),
    "svg": "xml",
    "svgz": "gz",
    **dict.fromkeys(
        ("gpx", "kml", "docbook", "fb2", "ttml", "opml", "dae", "musicxml", "jats", "plist"), "xml"
    ),
    **dict.fromkeys(("xliff", "fodt", "fods", "fodp", "rss", "tei", "x3d", "amf"), "xml"),
    **dict.fromkeys(("ipynb", "geojson", "topojson", "gltf", "jcal"), "json"),
    **dict.fromkeys(("docx", "xlsx", "xlsb", "pptx", "vsdx", "xps", "3mf"), "zip"),
    **dict.fromkeys(("odt", "ods", "odp", "odg", "odf", "odb", "sxw", "ora", "kra"), "zip"),
    **dict.fromkeys(("epub", "jar", "apk", "ipa", "kmz", "usdz", "npz", "hwpx"), "zip"),
    **dict.fromkeys(("pages", "numbers", "key", "whl", "nupkg", "cbz"), "zip"),
    **dict.fromkeys(("doc", "xls", "ppt", "vsd", "pub", "msg", "msi", "hwp"), "ole"),
    **dict.fromkeys(("ooxml-encrypted", "fpx", "mpp"), "ole"),
    "tgz": "gz",
    "tbz2": "bz2",
    "txz": "xz",
    "tzst": "zst",
    "deb": "ar",
    "opus": "ogg",
    "spx": "ogg",
    "ogv": "ogg",
    "webm": "mkv",
    **dict.fromkeys(("m4a", "mov", "3gp"), "mp4"),
    "cr3": "mp4",
    "wma": "asf",
    "wmv": "asf",
    "mp2": "mp3",
    "eps": "ps",
    "ssa": "ass",
    "mbox": "eml",
    "mhtml": "eml",
    "xhtml": "html",
    "hocr": "html",
}
# What any text is, whatever else it is.
_TEXTS = frozenset(
    {
        *("txt", "html", "xml", "json", "ndjson", "yaml", "toml", "ini", "csv", "tsv"),
        *(
            "md",
            "rst",
            "org",
            "textile",
            "mediawiki",
            "man",
            "latex",
            "asciidoc",
            "typst",
            "bibtex",
        ),
        *("dokuwiki", "jira", "djot"),
        *("eml", "ics", "vcf", "srt", "vtt", "ass", "sub", "mpl2", "tmp", "smi", "sbv", "lrc"),
        *("obj", "off", "dxf", "iges", "xbm", "pem", "m3u", "diff", "sql"),
    }
)
# Archives that only unpacking tells from other packed files, which takes long for these.
_PACKED = {"tbz2": "bz2", "txz": "xz", "tzst": "zst"}
# What Office documents are encrypted as, whichever they are: only their password tells.
_ENCRYPTED = "ooxml-encrypted"
_ENCRYPTABLE = frozenset({"docx", "xlsx", "xlsb", "pptx", "vsdx"})
# Told by fields that agree, and so sometimes not told at all.
_WITHOUT_SIGNATURE = frozenset({"mp3", "aac", "ts", "mpeg", "tga", "stl", "dxf"})


def kinds(name: str) -> tuple[str, ...]:
    """The format and what it is a case of, the most particular first."""
    found = [name]
    while found[-1] in _IS_A:
        found.append(_IS_A[found[-1]])
    if found[-1] in _TEXTS and found[-1] != "txt":
        found.append("txt")
    return tuple(found)


@functools.cache
def known(name: str) -> tuple[str, ...]:
    """The same, by the names that have a row; none where there is no row at all."""
    rows = {word: row.name for row in FORMATS for word in (row.name, *row.aliases)}
    return tuple(dict.fromkeys(rows[kind] for kind in kinds(name) if kind in rows))


def is_text(name: str) -> bool:
    """Whether files of this format are text."""
    return kinds(name)[-1] == "txt" or find(name).media_type.startswith("text/")


def fits(claimed: str, seen: str | None) -> bool:
    """Whether a file that looks like `seen` can be what it is claimed to be; names of rows.

    A claim is believed where it is true and less particular than the bytes, and where the bytes
    cannot tell: any text can be text of any kind, and it is for its reader to refuse it.
    """
    if claimed == ANY:
        return True
    if seen is not None and claimed in known(seen):
        return True
    if seen is not None and _PACKED.get(claimed) == seen:
        return True
    if seen == _ENCRYPTED and claimed in _ENCRYPTABLE:
        return True
    if is_text(claimed):
        return seen is None or is_text(seen)
    return seen is None and (claimed in _WITHOUT_SIGNATURE or not find(claimed).has_signature)

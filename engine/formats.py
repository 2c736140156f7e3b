"""Every format this service can name: what it converts, and what it only recognises.

Recognising more than we convert is what lets an error say "this looks like a Word document". A row
is a fact sheet, nothing more: which pairs exist is the registry's business, and telling formats
apart from their bytes is the sniffer's.
"""

import msgspec

from engine.errors import FormatUnknown

# Whoever takes this takes every format, and bytes of none; whoever gives it gives what there is.
ANY = "any"


class Format(msgspec.Struct, frozen=True):
    """One format. The first extension is the one a download gets."""

    name: str
    title: str
    media_type: str
    extensions: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @property
    def has_signature(self) -> bool:
        """Whether its bytes always tell: text may begin with anything."""
        return self.name not in _WITHOUT_SIGNATURE


_WITHOUT_SIGNATURE = frozenset(
    {
        *("txt", "html", "latex", "eml", "mhtml", "json", "ipynb", "aac", "ts"),
        *("md", "typst", "rst", "asciidoc", "org", "textile", "mediawiki", "dokuwiki", "jira"),
        *("djot", "man", "docbook", "jats", "opml", "fb2"),
    }
)


def _row(name: str, title: str, media_type: str, extensions: str, aliases: str = "") -> Format:
    return Format(name, title, media_type, tuple(extensions.split()), tuple(aliases.split()))


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

_IMAGES = (
    _row("jpeg", "JPEG image", "image/jpeg", "jpg jpeg jpe jfif"),
    _row("png", "PNG image", "image/png", "png", "apng"),
    _row("webp", "WebP image", "image/webp", "webp"),
    _row("avif", "AVIF image", "image/avif", "avif avifs"),
    _row("gif", "GIF image", "image/gif", "gif"),
    _row("tiff", "TIFF image", "image/tiff", "tif tiff"),
    _row("bmp", "BMP image", "image/bmp", "bmp dib"),
    _row("heic", "HEIC image", "image/heic", "heic heif hif"),
    _row("ico", "Windows icon", "image/vnd.microsoft.icon", "ico"),
    _row("cur", "Windows cursor", "image/x-win-bitmap", "cur"),
    _row("icns", "Apple icon", "image/icns", "icns"),
    _row("jp2", "JPEG 2000 image", "image/jp2", "jp2 j2k jpf jpx j2c"),
    _row("jxl", "JPEG XL image", "image/jxl", "jxl"),
    _row("jxr", "JPEG XR image", "image/jxr", "jxr wdp hdp"),
    _row("psd", "Photoshop document", "image/vnd.adobe.photoshop", "psd psb"),
    _row("svg", "SVG drawing", "image/svg+xml", "svg"),
    _row("ppm", "Netpbm image in colour (PPM)", "image/x-portable-pixmap", "ppm"),
    _row("pgm", "Netpbm image in grey (PGM)", "image/x-portable-graymap", "pgm"),
    _row("pbm", "Netpbm bitmap (PBM)", "image/x-portable-bitmap", "pbm"),
    _row("pnm", "Netpbm image", "image/x-portable-anymap", "pnm pam"),
    _row("tga", "Targa image", "image/x-tga", "tga vda icb vst"),
    _row("pcx", "PCX image", "image/vnd.zbrush.pcx", "pcx"),
    _row("sgi", "SGI image", "image/sgi", "sgi rgb rgba bw"),
    _row("qoi", "QOI image", "image/qoi", "qoi"),
    _row("dds", "DirectDraw surface", "image/vnd-ms.dds", "dds"),
    _row("exr", "OpenEXR image", "image/x-exr", "exr"),
    _row("hdr", "Radiance HDR image", "image/vnd.radiance", "hdr"),
    _row("fits", "FITS image", "image/fits", "fits fit fts"),
    _row("dng", "camera raw image (DNG)", "image/x-adobe-dng", "dng"),
    _row("cr2", "camera raw image (Canon CR2)", "image/x-canon-cr2", "cr2"),
    _row("raf", "camera raw image (Fujifilm RAF)", "image/x-fuji-raf", "raf"),
    _row("rw2", "camera raw image (Panasonic RW2)", "image/x-panasonic-rw2", "rw2"),
    _row("nef", "camera raw image (Nikon NEF)", "image/x-nikon-nef", "nef nrw"),
    _row("arw", "camera raw image (Sony ARW)", "image/x-sony-arw", "arw"),
    _row("cr3", "camera raw image (Canon CR3)", "image/x-canon-cr3", "cr3"),
    _row("pef", "camera raw image (Pentax PEF)", "image/x-pentax-pef", "pef"),
    _row("orf", "camera raw image (Olympus ORF)", "image/x-olympus-orf", "orf"),
    _row("emf", "Windows metafile (EMF)", "image/emf", "emf"),
    _row("wmf", "Windows metafile (WMF)", "image/wmf", "wmf"),
    _row("djvu", "DjVu document", "image/vnd.djvu", "djvu djv"),
)

_DOCUMENTS = (
    _row("pdf", "PDF document", "application/pdf", "pdf"),
    _row("ps", "PostScript document", "application/postscript", "ps eps ai"),
    _row("docx", "Word document (DOCX)", _OOXML + "wordprocessingml.document", "docx docm dotx"),
    _row("xlsx", "Excel workbook (XLSX)", _OOXML + "spreadsheetml.sheet", "xlsx xlsm xltx"),
    _row("xlsb", "Excel workbook (XLSB)", "application/vnd.ms-excel.sheet.binary.12", "xlsb"),
    _row(
        "pptx",
        "PowerPoint presentation (PPTX)",
        _OOXML + "presentationml.presentation",
        "pptx pptm ppsx",
    ),
    _row("vsdx", "Visio drawing (VSDX)", "application/vnd.ms-visio.drawing", "vsdx"),
    _row("doc", "Word document (DOC)", "application/msword", "doc dot"),
    _row("xls", "Excel workbook (XLS)", "application/vnd.ms-excel", "xls xlt"),
    _row("ppt", "PowerPoint presentation (PPT)", "application/vnd.ms-powerpoint", "ppt pps"),
    _row("vsd", "Visio drawing (VSD)", "application/vnd.visio", "vsd"),
    _row("pub", "Publisher document", "application/vnd.ms-publisher", "pub"),
    _row("msg", "Outlook message", "application/vnd.ms-outlook", "msg"),
    _row("msi", "Windows installer package", "application/x-msi", "msi"),
    _row("ooxml-encrypted", "encrypted Office document", "application/encrypted", "cfb"),
    _row("ole", "Microsoft compound file", "application/x-ole-storage", "ole"),
    _row("odt", "OpenDocument text", _ODF + "text", "odt ott"),
    _row("ods", "OpenDocument spreadsheet", _ODF + "spreadsheet", "ods ots"),
    _row("odp", "OpenDocument presentation", _ODF + "presentation", "odp otp"),
    _row("odg", "OpenDocument drawing", _ODF + "graphics", "odg otg"),
    _row("epub", "EPUB book", "application/epub+zip", "epub"),
    _row("mobi", "Kindle book", "application/x-mobipocket-ebook", "mobi azw azw3 prc"),
    _row("rtf", "rich text document (RTF)", "application/rtf", "rtf"),
    _row("html", "HTML page", "text/html", "html htm"),
    _row("mhtml", "web archive (MHTML)", "multipart/related", "mhtml mht"),
    _row("xml", "XML document", "application/xml", "xml"),
    _row("json", "JSON document", "application/json", "json"),
    _row("csv", "comma-separated values (CSV)", "text/csv", "csv"),
    _row("tsv", "tab-separated values (TSV)", "text/tab-separated-values", "tsv tab"),
    _row("ndjson", "JSON lines (NDJSON)", "application/x-ndjson", "ndjson jsonl"),
    _row("yaml", "YAML document", "application/yaml", "yaml yml"),
    _row("toml", "TOML document", "application/toml", "toml"),
    _row("sql", "SQL script", "application/sql", "sql"),
    _row("md", "Markdown text", "text/markdown", "md markdown"),
    _row("txt", "plain text", "text/plain", "txt text log"),
    _row("eml", "e-mail message", "message/rfc822", "eml"),
    _row("ics", "calendar (iCalendar)", "text/calendar", "ics ical"),
    _row("vcf", "contact (vCard)", "text/vcard", "vcf vcard"),
    _row("srt", "subtitles (SubRip)", "application/x-subrip", "srt"),
    _row("vtt", "subtitles (WebVTT)", "text/vtt", "vtt"),
    _row("ass", "subtitles (Advanced SubStation)", "text/x-ass", "ass"),
    _row("ssa", "subtitles (SubStation)", "text/x-ssa", "ssa"),
    _row("ttml", "subtitles (TTML)", "application/ttml+xml", "ttml dfxp"),
    _row("sub", "subtitles (MicroDVD)", "text/x-microdvd", "sub"),
    _row("mpl2", "subtitles (MPL2)", "text/x-mpl2", "mpl mpl2"),
    _row("smi", "subtitles (SAMI)", "application/x-sami", "smi sami"),
    _row("gpx", "GPS tracks (GPX)", "application/gpx+xml", "gpx"),
    _row("geojson", "places (GeoJSON)", "application/geo+json", "geojson"),
    _row("kml", "places (KML)", "application/vnd.google-earth.kml+xml", "kml"),
    _row("kmz", "packed places (KMZ)", "application/vnd.google-earth.kmz", "kmz"),
    _row("latex", "LaTeX document", "application/x-tex", "tex latex"),
    _row("typst", "typst source", "text/vnd.typst", "typ typst"),
    _row("rst", "reStructuredText", "text/x-rst", "rst rest"),
    _row("asciidoc", "AsciiDoc text", "text/asciidoc", "adoc asciidoc asc"),
    _row("org", "Org text", "text/org", "org"),
    _row("textile", "Textile text", "text/x-textile", "textile"),
    _row("mediawiki", "MediaWiki page", "text/x-wiki", "mediawiki wiki"),
    _row("dokuwiki", "DokuWiki page", "text/x-dokuwiki", "dokuwiki"),
    _row("jira", "Jira wiki text", "text/x-jira", "jira"),
    _row("djot", "djot text", "text/x-djot", "dj djot"),
    _row("man", "manual page (man)", "text/troff", "man roff"),
    _row("docbook", "DocBook document", "application/docbook+xml", "dbk docbook"),
    _row("jats", "JATS article", "application/jats+xml", "jats"),
    _row("opml", "OPML outline", "text/x-opml", "opml"),
    _row("fb2", "FictionBook", "application/x-fictionbook+xml", "fb2"),
    _row("hocr", "recognised text with boxes (hOCR)", "text/vnd.hocr+html", "hocr"),
    _row("ipynb", "Jupyter notebook", "application/x-ipynb+json", "ipynb"),
    _row("parquet", "Parquet table", "application/vnd.apache.parquet", "parquet"),
    _row("arrow", "Arrow table", "application/vnd.apache.arrow.file", "arrow feather"),
    _row("avro", "Avro data", "application/avro", "avro"),
    _row("orc", "ORC table", "application/x-orc", "orc"),
    _row("sqlite", "SQLite database", "application/vnd.sqlite3", "sqlite db"),
)

_MEDIA = (
    _row("mp3", "MP3 audio", "audio/mpeg", "mp3"),
    _row("wav", "WAV audio", "audio/wav", "wav"),
    _row("flac", "FLAC audio", "audio/flac", "flac"),
    _row("ogg", "Ogg audio or video", "audio/ogg", "ogg oga ogv", "vorbis"),
    _row("opus", "Opus audio", "audio/opus", "opus"),
    _row("aac", "AAC audio", "audio/aac", "aac"),
    _row("m4a", "MPEG-4 audio", "audio/mp4", "m4a m4b"),
    _row("aiff", "AIFF audio", "audio/aiff", "aiff aif"),
    _row("amr", "AMR audio", "audio/amr", "amr"),
    _row("midi", "MIDI music", "audio/midi", "mid midi"),
    _row("mp4", "MPEG-4 video", "video/mp4", "mp4 m4v"),
    _row("mov", "QuickTime video", "video/quicktime", "mov qt"),
    _row("3gp", "3GPP video", "video/3gpp", "3gp 3g2"),
    _row("webm", "WebM video", "video/webm", "webm"),
    _row("mkv", "Matroska video", "video/x-matroska", "mkv mka"),
    _row("avi", "AVI video", "video/x-msvideo", "avi"),
    _row("asf", "Windows media (WMV, WMA)", "video/x-ms-asf", "wmv wma asf"),
    _row("flv", "Flash video", "video/x-flv", "flv"),
    _row("mpeg", "MPEG video", "video/mpeg", "mpg mpeg"),
    _row("ts", "MPEG transport stream", "video/mp2t", "ts m2ts"),
)

_OTHERS = (
    _row(ANY, "file of any kind", "application/octet-stream", "bin", "file"),
    _row("zip", "ZIP archive", "application/zip", "zip"),
    _row("jar", "Java archive", "application/java-archive", "jar war"),
    _row("apk", "Android package", "application/vnd.android.package-archive", "apk"),
    _row("7z", "7-Zip archive", "application/x-7z-compressed", "7z"),
    _row("rar", "RAR archive", "application/vnd.rar", "rar"),
    _row("gz", "gzip file", "application/gzip", "gz", "gzip"),
    _row("bz2", "bzip2 file", "application/x-bzip2", "bz2", "bzip2"),
    _row("xz", "xz file", "application/x-xz", "xz"),
    _row("zst", "Zstandard file", "application/zstd", "zst", "zstd"),
    _row("lz4", "LZ4 file", "application/x-lz4", "lz4"),
    _row("tar", "tar archive", "application/x-tar", "tar"),
    _row("tgz", "gzip-compressed tar archive", "application/gzip", "tar.gz tgz"),
    _row("tbz2", "bzip2-compressed tar archive", "application/x-bzip2", "tar.bz2 tbz2 tbz"),
    _row("txz", "xz-compressed tar archive", "application/x-xz", "tar.xz txz"),
    _row("tzst", "Zstandard-compressed tar archive", "application/zstd", "tar.zst tzst"),
    _row("cab", "Windows cabinet", "application/vnd.ms-cab-compressed", "cab"),
    _row("ar", "Unix archive", "application/x-archive", "a deb"),
    _row("rpm", "RPM package", "application/x-rpm", "rpm"),
    _row("iso", "disc image (ISO 9660)", "application/x-iso9660-image", "iso"),
    _row("p12", "key file (PKCS#12)", "application/x-pkcs12", "p12 pfx"),
    _row("ttf", "TrueType font", "font/ttf", "ttf"),
    _row("otf", "OpenType font", "font/otf", "otf"),
    _row("ttc", "font collection", "font/collection", "ttc otc"),
    _row("woff", "web font (WOFF)", "font/woff", "woff"),
    _row("woff2", "web font (WOFF2)", "font/woff2", "woff2"),
    _row("glb", "3D scene (glTF)", "model/gltf-binary", "glb"),
    _row("ply", "3D mesh (PLY)", "model/ply", "ply"),
    _row("gltf", "3D scene in text (glTF)", "model/gltf+json", "gltf"),
    _row("stl", "3D mesh (STL)", "model/stl", "stl"),
    _row("obj", "3D mesh (OBJ)", "model/obj", "obj"),
    _row("off", "3D mesh (OFF)", "model/x-off", "off"),
    _row("3mf", "3D print (3MF)", "model/3mf", "3mf"),
    _row("dxf", "AutoCAD drawing (DXF)", "image/vnd.dxf", "dxf"),
    _row("dwg", "AutoCAD drawing (DWG)", "image/vnd.dwg", "dwg"),
    _row("wasm", "WebAssembly module", "application/wasm", "wasm"),
    _row("elf", "Linux program", "application/x-executable", "elf so"),
    _row("exe", "Windows program", "application/vnd.microsoft.portable-executable", "exe dll"),
    _row("swf", "Flash movie", "application/x-shockwave-flash", "swf"),
    _row("class", "Java class", "application/java-vm", "class"),
)

# What nothing here converts, and an error can still name.
_RECOGNISED = (
    _row("xcf", "GIMP image", "image/x-xcf", "xcf"),
    _row("mng", "MNG animation", "video/x-mng", "mng"),
    _row("dpx", "DPX film frame", "image/x-dpx", "dpx"),
    _row("ras", "Sun raster image", "image/x-sun-raster", "ras"),
    _row("dcx", "PCX pages", "image/x-dcx", "dcx"),
    _row("fli", "FLIC animation", "video/x-flic", "fli flc"),
    _row("miff", "ImageMagick image", "image/x-miff", "miff"),
    _row("farbfeld", "farbfeld image", "image/x-farbfeld", "ff"),
    _row("xpm", "X pixmap", "image/x-xpixmap", "xpm"),
    _row("xbm", "X bitmap", "image/x-xbitmap", "xbm"),
    _row("pfm", "Netpbm image of floats", "image/x-portable-floatmap", "pfm"),
    _row("blp", "Blizzard texture", "image/x-blp", "blp"),
    _row("ktx", "Khronos texture", "image/ktx2", "ktx ktx2"),
    _row("ani", "Windows animated cursor", "application/x-navi-animation", "ani"),
    _row("x3f", "camera raw image (Sigma X3F)", "image/x-sigma-x3f", "x3f"),
    _row("mrw", "camera raw image (Minolta MRW)", "image/x-minolta-mrw", "mrw"),
    _row("crw", "camera raw image (Canon CRW)", "image/x-canon-crw", "crw"),
    _row("fpx", "FlashPix image", "image/vnd.fpx", "fpx"),
    _row("hwp", "Hangul document", "application/x-hwp", "hwp"),
    _row("hwpx", "Hangul document (HWPX)", "application/hwp+zip", "hwpx"),
    _row("wpd", "WordPerfect document", "application/vnd.wordperfect", "wpd"),
    _row("one", "OneNote section", "application/onenote", "one"),
    _row("xps", "XPS document", "application/vnd.ms-xpsdocument", "xps oxps"),
    _row("pages", "Pages document", "application/vnd.apple.pages", "pages"),
    _row("numbers", "Numbers spreadsheet", "application/vnd.apple.numbers", "numbers"),
    _row("key", "Keynote presentation", "application/vnd.apple.keynote", "key"),
    _row("chm", "compiled HTML help", "application/vnd.ms-htmlhelp", "chm"),
    _row("lit", "Microsoft Reader book", "application/x-ms-reader", "lit"),
    _row("pst", "Outlook data file", "application/vnd.ms-outlook-pst", "pst ost"),
    _row("tnef", "Outlook winmail.dat", "application/ms-tnef", "tnef"),
    _row("mdb", "Access database", "application/x-msaccess", "mdb accdb"),
    _row("hdf5", "HDF5 data", "application/x-hdf5", "h5 hdf5"),
    _row("netcdf", "NetCDF data", "application/x-netcdf", "nc"),
    _row("npy", "NumPy array", "application/x-npy", "npy"),
    _row("npz", "NumPy arrays", "application/x-npz", "npz"),
    _row("shp", "ESRI shapes", "application/vnd.shp", "shp"),
    _row("ac3", "AC-3 audio", "audio/ac3", "ac3"),
    _row("caf", "Core Audio file", "audio/x-caf", "caf"),
    _row("au", "Sun audio", "audio/basic", "au snd"),
    _row("wavpack", "WavPack audio", "audio/x-wavpack", "wv"),
    _row("ape", "Monkey's Audio", "audio/x-ape", "ape"),
    _row("tta", "True Audio", "audio/x-tta", "tta"),
    _row("tak", "TAK audio", "audio/x-tak", "tak"),
    _row("musepack", "Musepack audio", "audio/x-musepack", "mpc mp+"),
    _row("ofr", "OptimFROG audio", "audio/x-ofr", "ofr ofs"),
    _row("dsf", "DSD audio", "audio/x-dsf", "dsf dff"),
    _row("w64", "Wave64 audio", "audio/x-w64", "w64"),
    _row("voc", "Creative voice", "audio/x-voc", "voc"),
    _row("rm", "RealMedia", "application/vnd.rn-realmedia", "rm rmvb"),
    _row("mxf", "MXF video", "application/mxf", "mxf"),
    _row("y4m", "uncompressed video (YUV4MPEG2)", "video/x-yuv4mpeg", "y4m"),
    _row("lzma", "LZMA file", "application/x-lzma", "lzma"),
    _row("lzip", "lzip file", "application/lzip", "lz"),
    _row("compress", "compressed file (Unix)", "application/x-compress", "z"),
    _row("cpio", "cpio archive", "application/x-cpio", "cpio"),
    _row("xar", "xar archive", "application/x-xar", "xar"),
    _row("lha", "LHA archive", "application/x-lha", "lha lzh"),
    _row("arj", "ARJ archive", "application/x-arj", "arj"),
    _row("squashfs", "SquashFS image", "application/vnd.squashfs", "squashfs snap"),
    _row("eot", "embedded font (EOT)", "application/vnd.ms-fontobject", "eot"),
    _row("pfb", "PostScript font", "application/x-font-type1", "pfb pfa"),
    _row("pcf", "X font (PCF)", "application/x-font-pcf", "pcf"),
    _row("bdf", "X font (BDF)", "application/x-font-bdf", "bdf"),
    _row("step", "STEP model", "model/step", "step stp"),
    _row("iges", "IGES model", "model/iges", "iges igs"),
    _row("fbx", "FBX scene", "application/vnd.autodesk.fbx", "fbx"),
    _row("blend", "Blender scene", "application/x-blender", "blend"),
    _row("icc", "colour profile", "application/vnd.iccprofile", "icc icm"),
    _row("pem", "PEM keys or certificates", "application/x-pem-file", "pem"),
)

FORMATS: tuple[Format, ...] = _IMAGES + _DOCUMENTS + _MEDIA + _OTHERS + _RECOGNISED


def find(name: str) -> Format:
    """The format of this name, alias or extension (with or without its dot), in any case.

    Raises FormatUnknown.
    """
    try:
        return _BY_WORD[name.lower().removeprefix(".")]
    except KeyError:
        raise FormatUnknown(
            f"no format is called {name[:32]!r}; GET /v1/formats lists what there is"
        ) from None


def title(name: str) -> str:
    """What customers call the format of this name. Raises FormatUnknown."""
    return find(name).title


def _words(row: Format) -> tuple[str, ...]:
    return (row.name, *row.aliases, *row.extensions)


_BY_WORD = {word: row for row in FORMATS for word in _words(row)}

"""pdf.extract_images: every picture that its pages draw, once.

What is stored as JPEG or JPEG 2000 comes out byte for byte. Everything else becomes a PNG: by
pikepdf, or where that cannot unpack it (JBIG2, odd colour spaces) by pdfium, from a page of its
own.
"""

import io
import zipfile
from typing import Any, NamedTuple

import pikepdf
from PIL import Image

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.colour import to_srgb
from engine.converters.pageparts import walk
from engine.converters.pdf.content.options import PicturesOptions
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdfium import opened, opened_page
from engine.converters.qpdf import open_document, read_pages, reading
from engine.errors import EngineError, SourceTooComplex, TargetImpossible, TargetTooLarge
from engine.job import Buffer

_PICTURES_MAX = 1_000
_JPEG_QUALITY = 92
_STORED_AS = {"/DCTDecode": "jpg", "/JPXDecode": "jp2"}
# FPDF_PAGEOBJ_IMAGE
_IMAGE_OBJECT = 3
_UNWRAP = pikepdf.StreamDecodeLevel.generalized
# What pikepdf raises for codings that it does not know, and for damage.
_UNKNOWN = (
    pikepdf.PikepdfError,
    pikepdf.PdfError,
    NotImplementedError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
)


class _Picture(NamedTuple):
    content: bytes
    extension: str


def extract_images(work: Work) -> Result:
    """Take the pictures out. Raises TargetImpossible where there are none."""
    options: PicturesOptions = work.options
    files: list[_Picture] = []
    failed = size = 0
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        found = _wanted(walk(document, chosen, work.bounds).pictures, options)
        if len(found) > _PICTURES_MAX:
            raise SourceTooComplex(
                f"there are {len(found)} pictures; the limit is {_PICTURES_MAX}: choose fewer"
                " pages with the option pages, or larger pictures with min_side"
            )
        for stream in found:
            picture = _taken(stream, work)
            if picture is None:
                failed += 1
                continue
            files.append(picture)
            size += len(picture.content)
            if size > work.bounds.output_bytes_max:
                raise TargetTooLarge("the pictures are together larger than the limit")
    if not files:
        raise TargetImpossible(
            "there are no pictures on these pages; drawings are no pictures, and operation=render"
            " turns whole pages into some"
            if not failed
            else "the pictures on these pages are coded in a way that cannot be taken out"
        )
    warnings = (f"{failed} pictures could not be taken out",) if failed else ()
    if work.target == "zip":
        return Result(files=(_zipped(files, work.bounds.output_bytes_max),), warnings=warnings)
    return Result(files=tuple(one.content for one in files), warnings=warnings)


def _wanted(pictures: list[Any], options: PicturesOptions) -> list[Any]:
    """Without those that are only the transparency of others, and without small ones."""
    with reading():
        masks = {
            mask.objgen
            for stream in pictures
            for key in ("/SMask", "/Mask")
            if isinstance(mask := stream.get(key), pikepdf.Stream)
        }
        return [
            stream
            for stream in pictures
            if stream.objgen not in masks
            and min(int(stream.get("/Width", 0)), int(stream.get("/Height", 0))) >= options.min_side
        ]


def _taken(stream: Any, work: Work) -> _Picture | None:
    """One picture in the form the target asks for; None where nothing can read it."""
    try:
        with reading():
            stored = _stored(stream)
            if stored is not None and work.target in {"zip", _TARGET_OF[stored.extension]}:
                return stored
            picture = _with_transparency(stream, _decoded(stream, work))
    except EngineError:
        return None
    buffer = io.BytesIO()
    if work.target == "jpeg":
        plain = picture if picture.mode == "L" else picture.convert("RGB")
        plain.save(buffer, "JPEG", quality=_JPEG_QUALITY)
        return _Picture(buffer.getvalue(), "jpg")
    picture.save(buffer, "PNG")
    return _Picture(buffer.getvalue(), "png")


_TARGET_OF = {"jpg": "jpeg", "jp2": "jp2"}


def _stored(stream: Any) -> _Picture | None:
    """The file that was put into the document, where it is one and needs nothing beside it."""
    filters = stream.get("/Filter")
    names = [str(one) for one in filters] if isinstance(filters, pikepdf.Array) else [str(filters)]
    if names[-1] not in _STORED_AS or isinstance(stream.get("/SMask"), pikepdf.Stream):
        return None
    extension = _STORED_AS[names[-1]]
    if len(names) == 1:
        return _Picture(stream.read_raw_bytes(), extension)
    # Packed once more around it: generalised decoding takes off what is not the picture's own.
    return _Picture(
        stream.get_stream_buffer(pikepdf.StreamDecodeLevel.generalized).tobytes(), extension
    )


def _decoded(stream: Any, work: Work) -> Image.Image:
    """The pixels in sRGB, grey or black and white."""
    try:
        picture: Image.Image = pikepdf.PdfImage(stream).as_pil_image()
        picture.load()
    except _UNKNOWN:
        return _by_pdfium(stream, work)
    icc = picture.info.get("icc_profile")
    if picture.mode not in {"1", "L", "RGB", "CMYK"}:
        picture = picture.convert("RGB")
    return picture if picture.mode == "1" else to_srgb(picture, icc, [])


def _by_pdfium(stream: Any, work: Work) -> Image.Image:
    """The same by pdfium, which reads only whole documents: so it gets one."""
    with pikepdf.new() as alone:
        page = alone.add_blank_page(page_size=(100, 100))
        resources = pikepdf.Dictionary(I=alone.copy_foreign(stream))
        page.obj["/Resources"] = pikepdf.Dictionary(XObject=resources)
        page.Contents = alone.make_stream(b"100 0 0 100 0 0 cm /I Do")
        buffer = CappedBuffer(work.bounds.output_bytes_max)
        alone.save(buffer)
        content = buffer.getvalue()
    with opened(content, "") as document, opened_page(document, 0) as drawn:
        for one in drawn.get_objects(filter=[_IMAGE_OBJECT]):
            picture: Image.Image = one.get_bitmap(render=False).to_pil()
            return picture
    raise TargetImpossible("pdfium found no picture")


def _with_transparency(stream: Any, picture: Image.Image) -> Image.Image:
    mask = stream.get("/SMask")
    if not isinstance(mask, pikepdf.Stream):
        return picture
    alpha = pikepdf.PdfImage(mask).as_pil_image().convert("L")
    whole = picture.convert("LA" if picture.mode in {"1", "L"} else "RGBA")
    whole.putalpha(alpha if alpha.size == whole.size else alpha.resize(whole.size))
    return whole


def _zipped(files: list[_Picture], room: int) -> Buffer:
    """All of them by number; they are packed already."""
    buffer = CappedBuffer(room)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, picture in enumerate(files, 1):
            entry = zipfile.ZipInfo(f"image-{number:03d}.{picture.extension}")
            archive.writestr(entry, picture.content)
    return buffer.take()

"""A plain FastAPI service around Pillow and its like, as one writes it in an afternoon.

Runs in an environment of its own (`bench/peers/fetching.py`): `uvicorn pillow_service:app`.
"""

import csv
import io
from collections.abc import Callable

import img2pdf
import openpyxl
import pillow_heif
import pypdf
import pypdfium2
from fastapi import FastAPI, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
app = FastAPI()


@app.post("/picture")
async def picture(
    request: Request,
    target: str,
    quality: int,
    width: int = 0,
    animated: bool = False,
) -> Response:
    body = await request.body()

    def work() -> bytes:
        image = Image.open(io.BytesIO(body))
        out = io.BytesIO()
        if animated:
            image.save(out, target, save_all=True, quality=quality, method=4)
            return out.getvalue()
        upright = ImageOps.exif_transpose(image).convert("RGB")
        if width:
            height = round(upright.height * width / upright.width)
            upright = upright.resize((width, height), Image.Resampling.LANCZOS)
        upright.save(out, target, quality=quality, optimize=True)
        return out.getvalue()

    return await _answer(work)


@app.post("/page")
async def page(request: Request, dpi: int) -> Response:
    body = await request.body()

    def work() -> bytes:
        out = io.BytesIO()
        with pypdfium2.PdfDocument(body) as document:
            document[0].render(scale=dpi / 72).to_pil().save(out, "PNG")
        return out.getvalue()

    return await _answer(work)


@app.post("/merge")
async def merge(file: list[UploadFile]) -> Response:
    bodies = [await one.read() for one in file]

    def work() -> bytes:
        writer, out = pypdf.PdfWriter(), io.BytesIO()
        for body in bodies:
            writer.append(io.BytesIO(body))
        writer.write(out)
        return out.getvalue()

    return await _answer(work)


@app.post("/bind")
async def bind(file: list[UploadFile]) -> Response:
    bodies = [await one.read() for one in file]
    return await _answer(lambda: bytes(img2pdf.convert(bodies)))


@app.post("/csv")
async def sheet(request: Request) -> Response:
    body = await request.body()

    def work() -> bytes:
        book = openpyxl.load_workbook(io.BytesIO(body), read_only=True)
        out = io.StringIO()
        csv.writer(out).writerows(book.worksheets[0].iter_rows(values_only=True))
        return out.getvalue().encode()

    return await _answer(work)


async def _answer(work: Callable[[], bytes]) -> Response:
    return Response(await run_in_threadpool(work), media_type="application/octet-stream")

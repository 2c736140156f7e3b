"""Which PDF an office document is printed to: parameters that ConvertAPI's examples send."""

from gateway.compat.convertapi.parameters.kinds import Choice, Whole
from gateway.compat.convertapi.parameters.shared import DPI, never
from gateway.compat.convertapi.parameters.terms import Parameter, Sets

_STANDARDS: dict[str, str | None] = {"1.6": "pdf-1.6", "1.7": "pdf-1.7"}
# As finely as the program can be told to keep pictures.
_FINENESS: dict[str, str | None] = {dpi: dpi for dpi in ("75", "150", "300", "600", "1200")}
_OWN_PAPER = "a document is printed on the paper that it names"


def printer(step: int) -> tuple[Parameter, ...]:
    """For the step that prints."""
    return (
        Parameter(
            name="PdfVersion",
            kind=Choice(("1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "2.0")),
            effect=Sets(
                option="standard", words=_STANDARDS, step=step, lacks="1.6 and 1.7 are written"
            ),
            default="1.7",
            group="PDF",
        ),
        Parameter(
            name="ImageQuality",
            kind=Whole(10, 100),
            effect=Sets(option="quality", step=step),
            group="PDF",
        ),
        Parameter(
            name="PdfResolution",
            kind=DPI,
            effect=Sets(
                option="picture_dpi",
                words=_FINENESS,
                step=step,
                lacks=f"pictures are made no finer than {', '.join(_FINENESS)}",
            ),
            group="PDF",
        ),
        never("PageSize", _OWN_PAPER, default="default"),
        never("PageOrientation", _OWN_PAPER, default="default"),
    )

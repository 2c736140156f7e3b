"""`GET /v1/prices` and `POST /v1/quote`: what everything costs, and what one thing would.

Both are made from the tables that conversions are priced with (`gateway/pricing.py`), so they
cannot say something else.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from engine import pipeline, registry
from engine.errors import OptionInvalid
from engine.formats import find
from engine.pipeline import Step
from gateway import pricing, state
from gateway.api.answers import answer, encoded
from gateway.api.formats import CACHE
from gateway.billing.desk import BillingDesk
from gateway.json_body import body_of

# Larger than any upload that is taken.
BYTES_MAX = 2**50
OPTIONS_MAX = 200
FormatName = Annotated[str, Meta(min_length=1, max_length=60)]
Options = Annotated[dict[str, str], Meta(max_length=OPTIONS_MAX)]


class ConverterPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What one converter costs in the first step of sizes."""

    name: str
    operation: str
    title: str
    credits: int


class PackPrice(msgspec.Struct, frozen=True, kw_only=True):
    """Credits that are sold together. The amount is in the smallest unit of the currency."""

    id: str
    title: str
    credits: int
    amount: int
    currency: str


class PricesPage(msgspec.Struct, frozen=True, kw_only=True):
    """All prices. A conversion costs its converter's credits times the factor of its size."""

    converters: tuple[ConverterPrice, ...]
    # The first step that holds the upload's bytes, all files together, gives the factor.
    size_steps: tuple[pricing.SizeStep, ...]
    # Of an inspection by a worker, whatever the size.
    inspection: int
    packs: tuple[PackPrice, ...]
    # Whether packs can be bought here: POST /v1/billing/checkout.
    checkout: bool


class QuotedStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a pipeline."""

    target: FormatName
    # The converter's own, `operation` among them.
    options: Options = {}


class QuoteWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A conversion as it would be asked for: a target with its options, or several steps."""

    source: FormatName
    target: FormatName | None = None
    options: Options = {}
    steps: Annotated[tuple[QuotedStep, ...], Meta(max_length=pipeline.STEPS_MAX)] = ()
    # How many files there are, and how large they are together, where that is known.
    files: Annotated[int, Meta(ge=1, le=1000)] = 1
    bytes: Annotated[int, Meta(ge=0, le=BYTES_MAX)] | None = None
    # Where that is known. No price depends on it today.
    pages: Annotated[int, Meta(ge=1, le=10**7)] | None = None


class StepPrice(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Without a converter the file's bytes decide which it is; then this is the most."""

    target: str
    converter: str | None
    credits: int


class SizePrice(msgspec.Struct, frozen=True, kw_only=True):
    """What it costs up to this size; null: however large."""

    input_bytes_max: int | None
    credits: int


class QuotePage(msgspec.Struct, frozen=True, kw_only=True):
    """What it would cost, in whole credits, debited only if it succeeds."""

    credits: int
    # False: it can be less (`auto`), or more (the size is not known).
    exact: bool
    steps: tuple[StepPrice, ...]
    sizes: tuple[SizePrice, ...]


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/prices`."""
    response = encoded(request.app[state.PRICES_PAGE])
    response.headers[hdrs.CACHE_CONTROL] = CACHE
    return response


async def quote(request: web.Request) -> web.StreamResponse:
    """`POST /v1/quote`."""
    return answer(quoted(await body_of(request, QuoteWanted)))


def quoted(wanted: QuoteWanted) -> QuotePage:
    """The price of what is wanted. Raises as the checks of a conversion do."""
    steps = _steps_of(wanted)
    first = pipeline.check(wanted.source, steps, several=wanted.files > 1)
    rest = pipeline.following(steps)
    names = _first_names(wanted, steps[0], first)
    weight = max(pricing.WEIGHTS[name] for name in names)
    certain = len({pricing.WEIGHTS[name] for name in names}) == 1
    factor = pricing.size_factor(wanted.bytes or 0)
    priced = (
        StepPrice(
            target=find(steps[0].target).name,
            converter=names[0] if len(names) == 1 else None,
            credits=weight * factor,
        ),
        *(
            StepPrice(
                target=job.target,
                converter=job.converter,
                credits=pricing.WEIGHTS[job.converter] * factor,
            )
            for job in rest
        ),
    )
    whole = weight + sum(pricing.WEIGHTS[job.converter] for job in rest)
    return QuotePage(
        credits=whole * factor,
        exact=certain and wanted.bytes is not None,
        steps=priced,
        sizes=tuple(
            SizePrice(input_bytes_max=step.input_bytes_max, credits=whole * step.factor)
            for step in pricing.SIZE_STEPS
        ),
    )


def build_page(desk: BillingDesk) -> PricesPage:
    """The page from the tables."""
    return PricesPage(
        converters=tuple(
            ConverterPrice(
                name=one.name,
                operation=one.operation,
                title=one.title,
                credits=pricing.WEIGHTS[one.name],
            )
            for one in registry.CONVERTERS
        ),
        size_steps=pricing.SIZE_STEPS,
        inspection=pricing.INSPECTION,
        packs=tuple(
            PackPrice(
                id=one.id,
                title=one.title,
                credits=one.credits,
                amount=one.amount,
                currency=one.currency,
            )
            for one in desk.config.packs
        ),
        checkout=desk.sells,
    )


def _steps_of(wanted: QuoteWanted) -> list[Step]:
    if wanted.steps:
        if wanted.target is not None or wanted.options:
            raise OptionInvalid("steps: they have targets and options of their own")
        return [Step(target=one.target, options=one.options) for one in wanted.steps]
    if wanted.target is None:
        raise OptionInvalid("target: say what it is to become, or name steps")
    return [Step(target=wanted.target, options=wanted.options)]


def _first_names(
    wanted: QuoteWanted, step: Step, certain: registry.Converter | None
) -> Sequence[str]:
    """The converters that the first step may be; several where the files' bytes decide."""
    if certain is not None and wanted.files == 1:
        return (certain.name,)
    operation, target = step.options.get("operation"), find(step.target).name
    if certain is not None:
        source = find(wanted.source).name
        return (registry.converter_for(source, target, operation, inputs=wanted.files).name,)
    auto = wanted.source.lower() == "auto"
    found = [
        one.name
        for one in registry.CONVERTERS
        if target in one.targets
        and (operation is None or one.operation == operation)
        and one.inputs_min <= wanted.files <= one.inputs_max
        and (auto or one.takes(find(wanted.source).name))
    ]
    if not found:
        raise OptionInvalid(f"nothing that becomes {target} is made like this; see GET /v1/formats")
    return found

"""`ephemera receipt`: check a receipt without any service, and look after the keys."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.cli.terminal import CONFIGURED, Configured, Exit, complain, table
from gateway.errors import ReceiptInvalid
from gateway.receipt_desk import HEADER
from gateway.receipt_keys import ReceiptKeys
from gateway.receipts import Digest, KeySet, PublicKey, Receipt, check_files, checked, digest

app = App(name="receipt", help="Check signed receipts, and look after the keys that sign them.")

PIPE = "-"


@app.command
def verify(
    file: Annotated[
        str,
        Parameter(
            help=f"The value of {HEADER}, in a file; - is a pipe.", allow_leading_hyphen=True
        ),
    ],
    *,
    keys: Annotated[
        Path | None,
        Parameter(
            help="The service's /.well-known/ephemera-receipts.json, in a file. [EPHEMERA_HOME]"
        ),
    ] = None,
    input: Annotated[  # noqa: A002 -- the name on the command line
        list[Path] | None,
        Parameter(help="A file that was sent; once each, in their order.", negative=""),
    ] = None,
    output: Annotated[Path | None, Parameter(help="The file that came back.")] = None,
    source: Configured = CONFIGURED,
) -> int:
    """Check a receipt's signature and, where they are given, its files. Asks nobody.

    Exits 0 when all is as the receipt says, 65 when not, 66 when a file cannot be read.
    """
    try:
        text = sys.stdin.read() if file == PIPE else Path(file).read_text(encoding="ascii")
        inputs = [digest(path.read_bytes()) for path in input or ()]
        result = digest(output.read_bytes()) if output else None
        known = _keys(keys, source)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        complain(f"cannot read what is to be checked: {error}")
        return Exit.NO_INPUT
    try:
        receipt, key = checked(text.rpartition(":")[2], known)
        check_files(receipt, inputs, result)
    except ReceiptInvalid as error:
        complain(str(error))
        return Exit.REFUSED
    _show(receipt, key, inputs, result)
    return Exit.OK


@app.command(name="keys")
def show_keys(*, source: Configured = CONFIGURED) -> None:
    """Print the public keys, as the service publishes them."""
    published = ReceiptKeys(source.settings().home).published()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(KeySet(published))).decode() + "\n")


@app.command
def rotate(*, source: Configured = CONFIGURED) -> None:
    """Add a key that signs from now on; the old ones stay published."""
    print(ReceiptKeys(source.settings().home).rotate().kid)


def _keys(path: Path | None, source: Configured) -> Sequence[PublicKey]:
    if path is None:
        return ReceiptKeys(source.settings().home).published()
    return msgspec.json.decode(path.read_bytes(), type=KeySet).keys


def _show(
    receipt: Receipt, key: PublicKey, inputs: Sequence[Digest], output: Digest | None
) -> None:
    ran = receipt.isolation
    table(
        ("WHAT", "SAYS"),
        [
            ("signature", f"good, by key {key.kid}"),
            ("inputs", "as in the receipt" if inputs else "not compared"),
            ("output", "as in the receipt" if output else "not compared"),
            ("request", receipt.request_id),
            ("issued", receipt.issued_at),
            ("conversion", f"{receipt.source} to {receipt.target} by {receipt.converter}"),
            ("libraries", ", ".join(f"{n} {v}" for n, v in receipt.libraries.items())),
            ("isolation", f"{ran.policy}, {ran.level}: {', '.join(ran.layers)}"),
            ("credits", f"{receipt.credits}"),
        ],
    )

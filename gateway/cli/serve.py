"""`ephemera serve`: the service in this process, or in several, until a signal."""

import os
import sys
from typing import Annotated

from cyclopts import Parameter

from gateway import server
from gateway.cli.terminal import DEFAULTS, Exit, Source, run
from gateway.notify import Notifier
from gateway.processes import parent
from gateway.server import Announcement


def serve(
    *,
    host: Annotated[str | None, Parameter(help="The address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, Parameter(help="The port; 0 takes any free one. [8080]")] = None,
    processes: Annotated[
        int | None, Parameter(help="How many gateways share the address. [1]")
    ] = None,
    source: Source = DEFAULTS,
) -> int:
    """Start the service; SIGTERM or Ctrl-C drains and stops it, a second Ctrl-C hurries.

    On the first start a demo account is made, and its API key is printed once.
    """
    notifier = Notifier.taken_from(os.environ)
    settings = source.settings(server__host=host, server__port=port, gateway__processes=processes)
    if settings.gateway.processes > 1:
        return run(parent.serve(settings, announce, notifier=notifier))
    run(server.serve(settings, announce, notifier=notifier))
    return Exit.OK


FIRST_START = """
A demo account with {news.demo_credits} credits was made. Its API key, shown this once:

    {news.demo_key}

A first conversion, with any photograph called photo.jpg:

    curl -fsS -H 'Authorization: Bearer {news.demo_key}' --data-binary @photo.jpg \\
      '{news.url}/v1/convert/jpeg/webp?width=800' -o photo.webp
"""


def announce(news: Announcement) -> None:
    """Print the banner: where the service is and, the first time, a line to paste."""
    print(f"Ephemera converts files on {news.url}")
    if news.admin_url:
        print(f"Operators are answered on {news.admin_url}")
    if news.demo_key:
        print(FIRST_START.format(news=news))
    print("Ctrl-C stops it, after what runs is finished.")
    sys.stdout.flush()

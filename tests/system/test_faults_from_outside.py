"""What the machine does to a running service: signals to its workers, no descriptors left."""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench.processes import workers
from bench.service import Service
from tests.gateway.samples import noise, picture
from tests.system import processes
from tests.system.client import Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

AFTERWARDS = 8
# Seconds of work for an encoder, so that a signal finds it at work.
SLOW = noise(1500, 1500)
# Signal → status, problem, label in logs and metrics.
SIGNALS = {
    signal.SIGSEGV: (422, "conversion-crashed", "segfault"),
    signal.SIGBUS: (422, "conversion-crashed", "bus"),
    signal.SIGKILL: (422, "conversion-crashed", "killed"),
    signal.SIGSYS: (422, "conversion-crashed", "violation"),
    signal.SIGXCPU: (504, "conversion-timeout", "cpu"),
}


def _failures(service: Service) -> list[str]:
    return [line for line in service.log.splitlines() if "conversion_failed" in line]


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_worker_ended_by_a_signal_from_outside_has_the_answer_of_that_signal(
    service: Service, client: Client, number: signal.Signals
) -> None:
    status, code, reason = SIGNALS[number]
    balance, before = await client.balance(), len(_failures(service))
    conversion = asyncio.create_task(client.convert("png/avif?effort=7", SLOW))
    worker = (await processes.converting(service, 1))[0]
    os.kill(worker, number)
    answer = await conversion
    assert (answer.status, answer.code) == (status, code)
    assert f'"reason": "{reason}"' in _failures(service)[before]
    assert await client.balance() == balance
    answers = [await client.convert("png/webp", picture()) for _ in range(AFTERWARDS)]
    assert {answer.status for answer in answers} == {200}


@contextmanager
def _no_more_descriptors(pid: int) -> Iterator[None]:
    """Let the process open nothing more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def test_a_gateway_without_descriptors_answers_and_recovers(
    service: Service, client: Client
) -> None:
    assert (await client.convert("png/webp", picture())).status == 200  # a connection to keep
    balance = await client.balance()
    with _no_more_descriptors(service.pid):
        ready = sum(family["spares"] for family in (await client.status())["engine"]["families"])
        answers = [await client.convert("png/webp", picture()) for _ in range(ready + 1)]
    delivered = sum(answer.status == 200 for answer in answers)
    assert delivered < len(answers)
    assert {answer.code for answer in answers} <= {"", "engine-unavailable"}
    answers = [await client.convert("png/webp", picture()) for _ in range(AFTERWARDS)]
    assert [answer.status for answer in answers] == [200] * AFTERWARDS
    assert await client.balance() == balance - delivered - AFTERWARDS


async def test_spares_that_die_while_nobody_asks_are_replaced(
    service: Service, client: Client
) -> None:
    before = set(workers(service.pid))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while not set(workers(service.pid)) - before:  # noqa: ASYNC110 -- other processes
            await asyncio.sleep(0.1)
    assert (await client.convert("png/webp", picture())).status == 200

"""The frames of both pipes, cut anywhere, and what a hostile sender gets for its trouble."""

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import wire
from sandbox.errors import ProgressInvalid, ReplyInvalid, ReplyTooLarge, RequestInvalid
from sandbox.wire import Reader, ReadyReader, ReplyReader, RequestReader

ROOM = 10_000

payloads = st.lists(st.binary(max_size=200), max_size=5)
cuts = st.lists(st.integers(min_value=1, max_value=70), min_size=1, max_size=40)


def feed(reader: Reader, stream: bytes, pieces: list[int] | None = None) -> int:
    """Let the reader take the stream in pieces; return how many bytes it took."""
    taken = 0
    turn = 0
    while (wanted := reader.wanted) is not None and taken < len(stream):
        piece = pieces[turn % len(pieces)] if pieces else len(stream)
        turn += 1
        count = min(piece, len(wanted), len(stream) - taken)
        wanted[:count] = stream[taken : taken + count]
        taken += count
        reader.filled(count)
    return taken


def joined(frames: object) -> bytes:
    return b"".join(bytes(frame) for frame in frames)  # type: ignore[attr-defined]


def request(header: bytes, inputs: list[bytes]) -> bytes:
    """A whole request, each input in one record."""
    data = [(wire.data_head(len(one)) + one if one else b"") + wire.END for one in inputs]
    return b"".join([wire.header_frame(header, [len(one) for one in inputs]), *data, wire.GO])


def reply_head(header: bytes, files: list[bytes]) -> bytes:
    return bytes(next(wire.reply_frames(header, files)))


@given(st.binary(min_size=1, max_size=100), payloads, cuts)
def test_a_request_arrives_as_it_was_sent_however_it_is_cut(
    header: bytes, inputs: list[bytes], pieces: list[int]
) -> None:
    stream = request(header, inputs)
    reader = RequestReader(input_bytes_max=ROOM)
    assert feed(reader, stream, pieces) == len(stream)
    assert reader.wanted is None
    assert (reader.header, reader.inputs) == (header, inputs)


@given(st.binary(max_size=100), payloads, cuts)
def test_a_reply_arrives_as_it_was_sent_however_it_is_cut(
    header: bytes, files: list[bytes], pieces: list[int]
) -> None:
    stream = joined(wire.reply_frames(header, files))
    reader = ReplyReader(output_bytes_max=ROOM)
    taken = feed(reader, stream, pieces)
    assert reader.wanted is None
    assert (reader.header, reader.sizes) == (header, tuple(map(len, files)))
    assert stream[taken:] == b"".join(files)


@given(st.binary(min_size=1, max_size=100), payloads, st.data())
def test_a_stream_that_ends_early_is_never_complete(
    header: bytes, files: list[bytes], data: st.DataObject
) -> None:
    for stream, reader in (
        (request(header, files), RequestReader(input_bytes_max=ROOM)),
        (reply_head(header, files), ReplyReader(output_bytes_max=ROOM)),
    ):
        feed(reader, stream[: data.draw(st.integers(0, len(stream) - 1))])
        assert reader.wanted is not None


@given(st.binary(max_size=400))
def test_noise_is_an_error_of_ours_or_incomplete_and_nothing_else(noise: bytes) -> None:
    makers: list[Callable[[], Reader]] = [
        lambda: RequestReader(input_bytes_max=ROOM),
        lambda: ReplyReader(output_bytes_max=ROOM),
        ReadyReader,
    ]
    for make in makers:
        for stream in (noise, b"H" + noise, b"A" + noise, b"R" + noise):
            with contextlib.suppress(RequestInvalid, ReplyInvalid, ReplyTooLarge):
                feed(make(), stream)


@given(payloads.filter(any), st.data())
def test_a_reply_with_one_changed_byte_is_an_error_or_has_the_declared_shape(
    files: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(joined(wire.reply_frames(b"head", files)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    reader = ReplyReader(output_bytes_max=ROOM)
    try:
        feed(reader, bytes(stream))
    except (ReplyInvalid, ReplyTooLarge):
        return
    assert sum(reader.sizes) <= ROOM


def test_an_input_may_be_shorter_than_its_ceiling_and_come_in_pieces() -> None:
    stream = (
        wire.header_frame(b"head", [1_000, 50])
        + wire.data_head(3) + b"abc" + wire.data_head(2) + b"de" + wire.END
        + wire.END
        + wire.GO
    )  # fmt: skip
    reader = RequestReader(input_bytes_max=ROOM)
    feed(reader, stream)
    assert reader.inputs == [b"abcde", b""]


def test_nothing_is_complete_before_go() -> None:
    stream = request(b"head", [b"abc"])
    reader = RequestReader(input_bytes_max=ROOM)
    feed(reader, stream.removesuffix(wire.GO))
    assert reader.wanted is not None
    feed(reader, wire.GO)
    assert reader.wanted is None


def test_a_reader_takes_nothing_of_what_follows() -> None:
    stream = reply_head(b"head", [b"file"])
    assert feed(ReplyReader(output_bytes_max=ROOM), stream + b"file") == len(stream)


def test_files_fill_the_memory_that_is_there_for_them() -> None:
    room = bytearray(4)
    assert feed(wire.Filling(memoryview(room)), b"fileREADY", [1, 2]) == 4
    assert room == b"file"


HEADER = wire.header_frame(b"head", [10])

HOSTILE_REQUESTS = {
    "data before the header": wire.data_head(1) + b"x",
    "go before the header": wire.GO,
    "no header": struct.pack("<BI", ord("H"), 0),
    "a header without end": struct.pack("<BI", ord("H"), 2**32 - 1),
    "inputs without end": struct.pack("<BI", ord("H"), 1) + b"x" + struct.pack("<I", 2**32 - 1),
    "inputs beyond the limit": wire.header_frame(b"head", [ROOM, 1]),
    "a sum that overflows": wire.header_frame(b"head", [2**64 - 1, 2]),
    "more than was declared": HEADER + wire.data_head(11),
    "more in two pieces": HEADER + wire.data_head(6) + bytes(6) + wire.data_head(5),
    "data of no length": HEADER + struct.pack("<BI", ord("D"), 0),
    "an end with a length": HEADER + struct.pack("<BI", ord("E"), 1),
    "go before the end": HEADER + wire.GO,
    "one end too many": HEADER + wire.END + wire.END,
    "an unknown record": HEADER + b"?\x00\x00\x00\x00",
}


@pytest.mark.parametrize("name", HOSTILE_REQUESTS)
def test_a_hostile_request_is_refused(name: str) -> None:
    with pytest.raises(RequestInvalid):
        feed(RequestReader(input_bytes_max=ROOM), HOSTILE_REQUESTS[name])


HOSTILE_REPLIES = {
    "not a reply": (b"R" + bytes(8), ReplyInvalid),
    "a header without end": (struct.pack("<BII", ord("A"), 2**32 - 1, 0), ReplyInvalid),
    "files without end": (struct.pack("<BII", ord("A"), 0, 2**32 - 1), ReplyInvalid),
    "a file beyond the limit": (struct.pack("<BIIQ", ord("A"), 0, 1, ROOM + 1), ReplyTooLarge),
    "files beyond it together": (struct.pack("<BIIQQ", ord("A"), 0, 2, ROOM, 1), ReplyTooLarge),
    "a file without end": (struct.pack("<BIIQ", ord("A"), 0, 1, 2**64 - 1), ReplyTooLarge),
}


@pytest.mark.parametrize("name", HOSTILE_REPLIES)
@pytest.mark.claim("C-REPLY-1")
def test_a_hostile_reply_is_refused(name: str) -> None:
    stream, error = HOSTILE_REPLIES[name]
    with pytest.raises(error):
        feed(ReplyReader(output_bytes_max=ROOM), stream)


def parts(*told: int) -> bytes:
    return b"".join(map(wire.part_frame, told))


@given(st.sets(st.integers(1, wire.PARTS)), payloads, cuts)
def test_progress_is_heard_in_its_order_and_the_reply_is_what_it_was(
    told: set[int], files: list[bytes], pieces: list[int]
) -> None:
    heard: list[int] = []
    reader = ReplyReader(output_bytes_max=ROOM, progress=heard.append)
    feed(reader, parts(*sorted(told)) + reply_head(b"head", files), pieces)
    assert reader.wanted is None
    assert heard == sorted(told)
    assert (reader.header, reader.sizes) == (b"head", tuple(map(len, files)))


def test_a_reply_without_progress_is_read_in_the_same_pieces_whoever_listens() -> None:
    def wanted(reader: Reader) -> list[int]:
        stream, lengths = reply_head(b"head", [b"a", b"bc"]), []
        while reader.wanted is not None:
            lengths.append(len(reader.wanted))
            stream = stream[feed(reader, stream[: lengths[-1]]) :]
        return lengths

    deaf = wanted(ReplyReader(output_bytes_max=ROOM))
    assert wanted(ReplyReader(output_bytes_max=ROOM, progress=lambda _: None)) == deaf


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(parts(0), id="nothing"),
        pytest.param(parts(101), id="more than all"),
        pytest.param(parts(2**32 - 1), id="far more"),
        pytest.param(parts(50, 50), id="the same again"),
        pytest.param(parts(50, 49), id="backwards"),
        pytest.param(parts(*range(1, 101), 100), id="one too many"),
        pytest.param(struct.pack("<BII", ord("P"), 3, 1), id="of another length"),
    ],
)
@pytest.mark.claim("C-REPLY-1")
def test_progress_that_is_none_is_refused(stream: bytes) -> None:
    with pytest.raises(ProgressInvalid):
        feed(ReplyReader(output_bytes_max=ROOM, progress=lambda _: None), stream)


def test_progress_that_nobody_asked_for_or_after_the_reply_is_refused() -> None:
    with pytest.raises(ProgressInvalid):
        feed(ReplyReader(output_bytes_max=ROOM), parts(1))
    with pytest.raises(ProgressInvalid):
        feed(ReadyReader(), parts(1))


def test_a_worker_is_asked_for_its_progress_in_place_of_go() -> None:
    for go, watched in ((wire.GO, False), (wire.WATCH, True)):
        reader = RequestReader(input_bytes_max=ROOM)
        feed(reader, request(b"head", [b"abc"]).removesuffix(wire.GO) + go)
        assert (reader.wanted, reader.watched) == (None, watched)
    for out_of_place in (wire.WATCH, HEADER + wire.WATCH, request(b"head", [])[:-1] + b"\x01"):
        with pytest.raises(RequestInvalid):
            feed(RequestReader(input_bytes_max=ROOM), out_of_place)


def test_a_worker_announces_itself_or_says_why_not() -> None:
    ready = ReadyReader()
    feed(ready, wire.ready_frame(b"attestation"))
    assert (ready.wanted, ready.attestation, ready.refusal) == (None, b"attestation", "")
    refused = ReadyReader()
    feed(refused, wire.refused_frame("the filter cannot be had"))
    assert (refused.attestation, refused.refusal) == (None, "the filter cannot be had")


def test_a_refusal_is_cut_and_need_not_be_text() -> None:
    reader = ReadyReader()
    feed(reader, wire.refused_frame("x" * 10**6))
    assert len(reader.refusal) == wire.NOTICE_BYTES_MAX
    noise = ReadyReader()
    feed(noise, b"X\x02\x00\x00\x00\xff\xfe")
    assert noise.refusal == "\ufffd\ufffd"


@pytest.mark.parametrize("stream", [b"A" + bytes(4), b"R\xff\xff\xff\xff", b"\x00" * 5])
def test_what_is_no_announcement_is_refused(stream: bytes) -> None:
    with pytest.raises(ReplyInvalid):
        feed(ReadyReader(), stream)


def test_requests_beyond_the_format_are_not_framed() -> None:
    for header, inputs in ((b"", []), (bytes(wire.HEADER_BYTES_MAX + 1), []), (b"h", [b""] * 1001)):
        with pytest.raises(RequestInvalid):
            request(header, inputs)


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(0, 60))
def test_what_is_unsent_is_what_remains(frames: list[bytes], sent: int) -> None:
    whole = b"".join(frames)
    sent = min(sent, len(whole))
    left = wire.unsent([memoryview(frame) for frame in frames], sent)
    assert joined(left) == whole[sent:]

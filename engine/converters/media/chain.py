"""Filters in a row: frames in at one end, frames out at the other, in the calling thread."""

from collections.abc import Iterator, Sequence
from typing import Any

import av
from av import AudioFrame
from av.filter import Graph

Step = tuple[str, str]
Kind = tuple[Any, ...]


class Chain:
    """A source of frames, filters, and a sink.

    Made when the first frame is there, because headers do not always say what frames will be; and
    made anew where they change in the middle.
    """

    def __init__(self, steps: Sequence[Step], *, samples: int = 0, shows: bool = False) -> None:
        """`samples`: how many an encoder of sound wants in each frame; 0 is any.

        `shows`: the last filter makes pictures of a sound.
        """
        self._steps = steps
        self._samples = samples
        self._shows = shows
        self._graph: Graph | None = None
        self._kind: Kind = ()

    def pass_on(self, frame: Any) -> Iterator[Any]:
        """Put a frame in (None is the end), and give those that come out."""
        if frame is not None and (kind := kind_of(frame)) != self._kind:
            if self._graph is not None:
                yield from _put(self._graph, None)
            self._kind, self._graph = kind, self._made(frame)
        if self._graph is not None:
            yield from _put(self._graph, frame)

    def _made(self, frame: Any) -> Graph:
        graph, last = begun(frame, self._steps)
        of_sound = isinstance(frame, AudioFrame) and not self._shows
        last.link_to(graph.add("abuffersink" if of_sound else "buffersink"))
        graph.configure()
        if self._samples:
            graph.set_audio_frame_size(self._samples)
        return graph


def kind_of(frame: Any) -> Kind:
    """What filters have to know of frames before the first one."""
    if isinstance(frame, AudioFrame):
        return frame.format.name, frame.sample_rate, frame.layout.name, frame.time_base
    return frame.format.name, frame.width, frame.height, frame.time_base


def begun(frame: Any, steps: Sequence[Step]) -> tuple[Graph, Any]:
    """A graph of a source of such frames, and filters; its sink is to be linked to the last."""
    graph = Graph()
    graph.threads = 1
    if isinstance(frame, AudioFrame):
        last = graph.add_abuffer(
            format=frame.format.name,
            sample_rate=frame.sample_rate,
            layout=frame.layout.name,
            time_base=frame.time_base,
        )
    else:
        last = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format.name,
            time_base=frame.time_base,
        )
    for name, arguments in steps:
        step = graph.add(name, arguments) if arguments else graph.add(name)
        last.link_to(step)
        last = step
    return graph, last


def _put(graph: Graph, frame: Any) -> Iterator[Any]:
    try:
        graph.push(frame)
    except av.EOFError:  # a trim has had all that it wants
        return
    yield from drained(graph)


def drained(graph: Graph) -> Iterator[Any]:
    """What is ready at the graph's only sink."""
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return

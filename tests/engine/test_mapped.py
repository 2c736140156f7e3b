"""Files that a zygote maps instead of reading: the same bytes, and nothing left open."""

from pathlib import Path

import pytest

from engine.converters.mapped import mapped


def test_a_mapped_file_has_its_bytes_and_cannot_be_written() -> None:
    path = Path(__file__)
    content = mapped(path)
    assert bytes(content) == path.read_bytes()
    with pytest.raises(TypeError):
        content[0] = 0


def test_mapping_leaves_no_descriptor_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = mapped(Path(__file__))
    assert (len(list(Path("/proc/self/fd").iterdir())), kept.readonly) == (before, True)


def test_a_file_that_is_not_there_or_is_empty_cannot_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("absent", "empty"):
        with pytest.raises(OSError, match=name):
            mapped(tmp_path / name)

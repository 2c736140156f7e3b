"""The directory of the service, and the secret in it."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway import config, home
from gateway.errors import ConfigError


def _settings(path: Path, **ledger: str) -> config.Settings:
    environ = {f"EPHEMERA__LEDGER__{name.upper()}": value for name, value in ledger.items()}
    return config.load({"EPHEMERA_HOME": str(path)} | environ)


def test_the_pepper_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    pepper = home.pepper(settings)
    assert len(pepper) == 64
    assert home.pepper(settings) == pepper
    assert stat.S_IMODE((tmp_path / "pepper").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["pepper"]


def test_many_starts_at_the_same_moment_agree_on_one_pepper(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: home.pepper(settings), range(32)))) == 1


def test_the_operators_own_pepper_is_not_written_down(tmp_path: Path) -> None:
    assert home.pepper(_settings(tmp_path, pepper="p" * 32)) == b"p" * 32
    assert not list(tmp_path.iterdir())


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="EPHEMERA_HOME"):
        home.prepare(tmp_path / "file" / "home")


def test_the_envelope_key_is_made_once_and_kept_for_this_user_alone(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    keys = home.keks(settings)
    assert [len(key) for key in keys] == [32]
    assert home.keks(settings) == keys
    assert stat.S_IMODE((tmp_path / "kek").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["kek"]


def test_a_new_envelope_key_seals_and_the_old_one_still_opens(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    old = home.keks(settings)
    home.add_kek(settings)
    assert len(home.keks(settings)) == 2
    assert home.keks(settings)[:1] == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["kek"]


def test_there_is_an_end_to_envelope_keys(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    for _ in range(15):
        home.add_kek(settings)
    with pytest.raises(ConfigError, match="16"):
        home.add_kek(settings)
    assert len(home.keks(settings)) == 16


def test_the_operators_own_envelope_keys_are_not_written_down(tmp_path: Path) -> None:
    settings = _settings(tmp_path, kek=f"{'a' * 64} {'b' * 64}")
    assert home.keks(settings) == (b"\xaa" * 32, b"\xbb" * 32)
    with pytest.raises(ConfigError, match=r"ledger\.kek"):
        home.add_kek(settings)
    assert not list(tmp_path.iterdir())


def test_an_envelope_key_that_is_none_stops_the_boot(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ledger\.kek") as refusal:
        home.keks(_settings(tmp_path, kek="hunter2"))
    assert "hunter2" not in str(refusal.value)

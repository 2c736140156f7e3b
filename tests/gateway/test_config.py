"""Settings: every source, and every way to get one wrong."""

import os
from pathlib import Path

import pytest

from gateway import config
from gateway.errors import ConfigError


def test_without_any_source_the_service_stays_on_this_machine() -> None:
    settings = config.load({})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.engine.isolation == "strict"


def test_a_later_source_wins_over_an_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "ephemera.toml"
    file.write_text('[server]\nport = 1111\nhost = "::1"\n[upload]\nbytes_max = 5\n')
    environ = {"EPHEMERA__SERVER__PORT": "2222", "EPHEMERA__UPLOAD__BYTES_MAX": "6"}
    settings = config.load(environ, file, {("server", "port"): 3333, ("server", "host"): None})
    assert settings.server.port == 3333
    assert settings.server.host == "::1"
    assert settings.upload.bytes_max == 6


@pytest.mark.parametrize(
    ("environ", "text", "sentence"),
    [
        ({"EPHEMERA__SERVER__PROT": "1"}, "", "server.prot in the environment variable"),
        ({"EPHEMERA__SERVER__PROT": "1"}, "", "did you mean port?"),
        ({"EPHEMERA__SERVER__PORT": "http"}, "", "server.port in the environment variable"),
        ({"EPHEMERA__SERVER__PORT": "65536"}, "", "<= 65535"),
        ({"EPHEMERA__SEVRER__PORT": "1"}, "", "did you mean server?"),
        ({"EPHEMERA__PORT": "1"}, "", "EPHEMERA__PORT"),
        ({}, "[server]\nprot = 1\n", "unknown setting server.prot in "),
        ({}, "[sever]\nport = 1\n", "unknown section [sever] in "),
        ({}, "port = 1\n", "unknown section [port] in "),
        ({}, '[server]\nport = "x"\n', "server.port in "),
        ({}, "[server\n", "is not valid TOML"),
        ({}, "[upload]\nstall_s = 0\n", "upload.stall_s in "),
        ({}, '[log]\nlevel = "loud"\n', "log.level in "),
        ({}, "[engine]\nslot = 2\n", "did you mean slots?"),
        ({"EPHEMERA__ENGINE__ISOLATION": "loose"}, "", "one of strict, container, unsafe"),
        ({"EPHEMERA__ENGINE__SLOTS": "-1"}, "", "engine.slots is at least 0"),
    ],
)
def test_a_typo_stops_the_boot_with_its_name_and_place(
    tmp_path: Path, environ: dict[str, str], text: str, sentence: str
) -> None:
    file = tmp_path / "ephemera.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(environ, file)
    assert sentence in str(caught.value)
    if not environ:
        assert str(file) in str(caught.value)


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        config.load({}, tmp_path / "nowhere.toml")


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text("postgresql://app@db/credits\n")
    settings = config.load({"EPHEMERA__LEDGER__DSN_FILE": str(secret)})
    assert settings.ledger.dsn == "postgresql://app@db/credits"


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    environ = {
        "EPHEMERA__LEDGER__DSN_FILE": str(tmp_path / "dsn"),
        "EPHEMERA__LEDGER__DSN": "postgresql://other",
    }
    with pytest.raises(ConfigError, match="both set"):
        config.load(environ)


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="EPHEMERA__LEDGER__PEPPER_FILE"):
        config.load({"EPHEMERA__LEDGER__PEPPER_FILE": str(tmp_path / "none")})


def test_a_setting_that_is_no_secret_has_no_file_form() -> None:
    with pytest.raises(ConfigError, match="port_file"):
        config.load({"EPHEMERA__SERVER__PORT_FILE": "/etc/port"})


def test_the_home_is_the_users_data_directory_unless_said_otherwise(tmp_path: Path) -> None:
    assert config.home({"EPHEMERA_HOME": str(tmp_path)}) == tmp_path
    assert config.home({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "ephemera"
    own = Path.home() / ".local/share" if os.geteuid() else Path("/var/lib")
    assert config.home({}) == own / "ephemera"

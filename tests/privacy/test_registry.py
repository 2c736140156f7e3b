"""What leaves the database is in a registry, and what is not there does not leave it."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings
from gateway.logs import FIELDS
from gateway.privacy.policy import Published, policy_of
from gateway.privacy.registry import is_on, listed, registry
from ledger.mail.kinds import KINDS
from ledger.privacy.inventory import NAMING, Category, inventory
from tests.gateway.service import with_settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "gateway", "ledger", "sandbox")
# What opens a connection to somebody, in whatever library.
OPENERS = {
    *("ClientSession", "TCPConnector", "open_connection", "create_connection", "urlopen"),
    *("create_datagram_endpoint", "SMTP", "HTTPConnection", "HTTPSConnection"),
}
LABELLED = {
    *("Counter", "Gauge", "Histogram", "Summary"),
    *("GaugeMetricFamily", "CounterMetricFamily", "HistogramMetricFamily", "kind"),
}
PACK = {"id": "small", "title": "Small", "credits": 100, "amount": 500, "currency": "EUR"}


def policy(**sections: Any) -> Published:
    return policy_of(with_settings(**sections), inventory(), str, "ephemera")


@cache
def calls(package: str) -> list[tuple[Path, ast.Call]]:
    return [
        (path, node)
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)


@pytest.mark.claim("C-PRIV-5")
def test_every_field_of_logs_is_in_the_registry() -> None:
    assert set(registry().log_fields) == FIELDS


def test_every_label_of_a_figure_is_in_the_registry() -> None:
    labels = {"le"}
    for _, call in calls("gateway"):
        if name_of(call) in LABELLED:
            given = [one.value for one in call.keywords if one.arg in {"labels", "labelnames"}]
            for value in (*call.args[2:3], *given):
                if isinstance(value, ast.Tuple):
                    labels |= set(ast.literal_eval(value))
    assert set(registry().metric_labels) == labels


def test_every_kind_of_mail_is_in_the_registry() -> None:
    assert set(registry().mails) == set(KINDS)


@pytest.mark.claim("C-PRIV-9")
def test_nobody_is_asked_but_by_the_modules_of_the_registry() -> None:
    asking = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for path, call in calls(package)
        if name_of(call) in OPENERS
    }
    assert asking == {one.module for one in registry().outbound}


@pytest.mark.claim("C-PRIV-12")
def test_no_cookie_is_set_that_is_not_in_the_registry() -> None:
    names = [
        ast.literal_eval(call.args[0])
        for _, call in calls("gateway")
        if name_of(call) == "set_cookie"
    ]
    assert sorted(names) == sorted(one.name for one in registry().cookies)
    for path in (ROOT / "gateway").rglob("*.py"):
        assert "SET_COOKIE" not in path.read_text()


@pytest.mark.claim("C-PRIV-9")
def test_others_are_listed_exactly_while_their_feature_is_on() -> None:
    def ids(**sections: Any) -> list[str]:
        return [one.id for one in listed(with_settings(**sections))]

    selling = {"provider": "lemonsqueezy", "api_key": "k", "store": "1", "webhook_secrets": "s" * 9}
    assert ids() == []
    assert ids(billing=selling) == ["payment"]
    mailing = {"backend": "smtp", "host": "mail.example.org"}
    assert [one.name for one in listed(with_settings(mail=mailing))] == ["mail.example.org"]
    (hosting,) = listed(with_settings(privacy={"hosting": "Iron AG", "region": "Germany"}))
    assert (hosting.name, hosting.region) == ("Iron AG", "Germany")


def test_every_switch_that_the_registry_names_exists() -> None:
    settings: Settings = with_settings()
    for one in (*registry().outbound, *registry().subprocessors, *registry().cookies):
        is_on(one.when, settings)


@pytest.mark.claim("C-PRIV-3")
def test_nothing_is_kept_for_another_purpose() -> None:
    assert set(inventory().purposes) == {
        *("account", "security", "conversion", "delivery", "books", "mail", "support"),
        *("accountability", "operation"),
    }


@pytest.mark.claim("C-PRIV-7")
def test_of_a_payment_nothing_is_kept_that_names_a_buyer() -> None:
    columns = [one for one in inventory().columns() if one.table.startswith("billing.")]
    assert len(columns) > 20
    assert [one.name for one in columns if one.category in NAMING] == []


@pytest.mark.claim("C-PRIV-4")
def test_of_a_request_no_words_and_no_content_are_kept() -> None:
    table = inventory().tables["requests.record"]
    held = {one.category for one in table.columns}
    assert not held & {Category.WORDS, Category.CONTENT, Category.NAME, Category.CONTACT}
    assert inventory().retention[table.retention].keeps == "90 days"


def test_the_page_speaks_of_what_is_on() -> None:
    plain, all_on = policy(), policy(fetch={"enabled": True}, billing={"packs": [PACK]})
    assert plain.version != all_on.version
    claims = [
        {one.claim for section in each.page.sections for one in section.sentences}
        for each in (plain, all_on)
    ]
    assert claims[1] - claims[0] == {"C-FETCH-3", "C-PRIV-7"}
    off = policy(files={"bytes_max": 0}, records={"keep": False})
    said = {one.claim for section in off.page.sections for one in section.sentences}
    assert claims[0] - said == {"C-STORE-1", "C-STORE-3", "C-PRIV-4"}


@pytest.mark.claim("C-PRIV-19")
def test_the_version_changes_with_a_word_and_with_nothing_else() -> None:
    assert policy().version == policy().version
    assert policy().version != policy(privacy={"contact": "privacy@example.org"}).version


def test_every_table_that_is_somebodys_is_on_the_page() -> None:
    shown = {one.table for one in policy().page.kept}
    assert shown == {table.name for table in inventory().tables.values() if table.of}

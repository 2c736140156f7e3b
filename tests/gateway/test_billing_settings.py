"""What an operator can say of money: what cannot be sold, or not like this, stops the boot."""

from pathlib import Path
from typing import Any

import pytest

from gateway.billing.settings import BillingConfig
from gateway.config import load
from gateway.errors import ConfigError
from tests.gateway.payments import FAKE, LEMONSQUEEZY


def settings(values: dict[str, Any], **environ: str) -> BillingConfig:
    given = {("billing", name): value for name, value in values.items()}
    return load({"EPHEMERA_HOME": "/nowhere", **environ}, None, given).billing


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "fake"},
        {"provider": "lemonsqueezy"},
        {"provider": "lemonsqueezy", "webhook_secrets": "x" * 41, "api_key": "k", "store": "1"},
        {"webhook_secrets": "short"},
        {"webhook_secrets": "three-good three-good-2 three-good-3"},
        {"packs": [{"id": "a", "title": "A", "credits": 1, "amount": 1, "currency": "EUR"}] * 2},
    ],
    ids=str,
)
def test_settings_that_cannot_sell_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="billing"):
        settings(wrong)


def test_the_fake_provider_is_refused_in_production() -> None:
    assert settings(FAKE).provider == "fake"
    with pytest.raises(ConfigError, match="gives credits for nothing"):
        settings(FAKE | {"mode": "production"})


def test_the_secrets_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text("the-old-secret\nthe-new-secret\n")
    without = {name: one for name, one in LEMONSQUEEZY.items() if name != "webhook_secrets"}
    read = settings(without, EPHEMERA__BILLING__WEBHOOK_SECRETS_FILE=str(path))
    assert read.secrets == ("the-old-secret", "the-new-secret")

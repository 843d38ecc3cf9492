from datetime import date

import pytest

from voxd.cli.doctor.check import DoctorContext, Status
from voxd.cli.doctor.vendors import models_last_on, money_counted
from voxd.config.provider_schema import ProviderConfig
from voxd.config.schema import Config, Spend


def context(*models: str) -> DoctorContext:
    providers = {
        f"p{number}": ProviderConfig(kind="openai", model=model) for number, model in enumerate(models)
    }
    return DoctorContext(Config(providers=providers), environ={})


@pytest.mark.parametrize(
    ("models", "today", "status"),
    [
        ((), "2026-11-20", Status.SKIP),
        (("gpt-6-luna",), "2026-11-20", Status.OK),
        (("gpt-6-luna", "whisper-1"), "2026-11-20", Status.WARN),
        (("whisper-1",), "2027-02-26", Status.FAIL),
    ],
)
def test_models_that_are_shut_down_are_reported(models: tuple[str, ...], today: str, status: Status) -> None:
    assert models_last_on(context(*models), date.fromisoformat(today)).status is status


def test_the_nearest_end_says_what_to_do() -> None:
    finding = models_last_on(context("whisper-1", "o3"), date(2026, 11, 20))
    assert finding.detail == "o3 of p1 shuts down on 2026-12-11; whisper-1 of p0 shuts down on 2027-02-26"
    assert finding.hint == "set the model of [providers.p1] to gpt-6-luna"


@pytest.mark.parametrize(
    ("kinds", "limit", "status"),
    [
        ((), None, Status.SKIP),
        (("openai",), None, Status.SKIP),
        (("ollama", "wyoming"), 1.0, Status.OK),
        (("gemini",), 1.0, Status.WARN),
        (("custom",), 1.0, Status.WARN),
        (("unheard_of",), 1.0, Status.WARN),
    ],
)
def test_a_limit_that_cannot_count_is_reported(
    kinds: tuple[str, ...], limit: float | None, status: Status
) -> None:
    providers = {kind: ProviderConfig(kind=kind) for kind in kinds}
    context = DoctorContext(Config(providers=providers, spend=Spend(usd_per_day=limit)), environ={})
    finding = money_counted(context)
    assert finding.status is status
    assert all(kind in finding.detail for kind in kinds) or status is not Status.WARN


@pytest.mark.parametrize(("model", "status"), [("gpt-realtime-2.1", Status.OK), ("gpt-9", Status.WARN)])
def test_a_provider_with_a_limit_of_its_own_needs_a_price(model: str, status: Status) -> None:
    provider = ProviderConfig(kind="openai", model=model, usd_per_day=1.0)
    assert money_counted(DoctorContext(Config(providers={"cloud": provider}), environ={})).status is status

from datetime import date

import pytest

from voxd.cli.checkup import Patient, Status
from voxd.cli.doctor_vendors import models_last_on
from voxd.config.schema import Config
from voxd.config.vendors import Provider


def patient(*models: str) -> Patient:
    providers = {f"p{number}": Provider(kind="openai", model=model) for number, model in enumerate(models)}
    return Patient(Config(providers=providers), environ={})


@pytest.mark.parametrize(
    ("models", "today", "status"),
    [
        ((), "2026-11-20", Status.SKIP),
        (("gpt-6-luna",), "2026-11-20", Status.OK),
        (("gpt-6-luna", "whisper-1"), "2026-11-20", Status.WARN),
        (("whisper-1",), "2027-02-26", Status.FAIL),
    ],
)
def test_models_that_end_are_told(models: tuple[str, ...], today: str, status: Status) -> None:
    assert models_last_on(patient(*models), date.fromisoformat(today)).status is status


def test_the_nearest_end_says_what_to_do() -> None:
    finding = models_last_on(patient("whisper-1", "o3"), date(2026, 11, 20))
    assert finding.detail == "o3 of p1 ends on 2026-12-11; whisper-1 of p0 ends on 2027-02-26"
    assert finding.hint == "set the model of [providers.p1] to gpt-6-luna"

"""What `voxctl config check` says about ``[[prices]]``."""

import pytest

from voxd.config.checking import check
from voxd.providers.facts import config_facts

HOUSE = '[providers.house]\nkind = "ollama"\n'


def findings(text: str) -> list[tuple[int, str, str, str]]:
    problems = check({"voxd.toml": HOUSE + text}, get_facts=config_facts)
    return [(each.line, each.key, str(each.severity), each.message) for each in problems]


@pytest.mark.parametrize(
    ("table", "key", "severity", "message"),
    [
        ('model = "x"', "prices[0]", "error", "it has no amount"),
        ('model = ""\nusd_per_minute = 1', "prices[0].model", "error", "it names no model"),
        ("usd_per_minute = 1", "prices[0]", "error", "model is missing"),
        (
            'model = "x"\nprovider = "huose"\nusd_per_minute = 1',
            "prices[0].provider",
            "error",
            'unknown provider "huose"',
        ),
        (
            'model = "x"\nusd_per_minut = 1\nusd_per_minute = 1',
            "prices[0].usd_per_minut",
            "error",
            "unknown key",
        ),
        (
            'model = "x"\nusd_per_minute = -1',
            "prices[0].usd_per_minute",
            "error",
            "expected a number of at least 0, got -1",
        ),
        (
            'model = "x"\nusd_per_million_characters = 0.000015',
            "prices[0].usd_per_million_characters",
            "warning",
            "1.5e-05 USD is very little for a million",
        ),
        (
            'model = "x"\nusd_per_million_input = 1',
            "prices[0]",
            "warning",
            "without the price of the output only the input is counted",
        ),
    ],
)
def test_a_mistake_in_a_price(table: str, key: str, severity: str, message: str) -> None:
    ((_, found_key, found_severity, found),) = findings(f"[[prices]]\n{table}\n")
    assert (found_key, found_severity, found) == (key, severity, message)


@pytest.mark.parametrize(
    "table",
    [
        'model = "*"\nusd_per_minute = 0',
        'model = "x"\nprovider = "house"\nusd_per_request = 0.001',
        'model = "x"\nusd_per_million_input = 0\nusd_per_million_output = 0',
    ],
)
def test_a_price_that_is_right(table: str) -> None:
    assert findings(f"[[prices]]\n{table}\n") == []


def test_a_price_that_an_earlier_one_hides() -> None:
    one = '[[prices]]\nmodel = "x"\nusd_per_minute = 1\n'
    assert findings(one + one.replace('"x"', '"y"')) == []
    ((line, key, severity, _),) = findings(one + one)
    assert (line, key, severity) == (7, "prices[1].model", "warning")

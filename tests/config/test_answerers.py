import pytest

from voxd.config import answerers
from voxd.config.checking import check
from voxd.config.sample import json_schema
from voxd.providers import registry

KEY = 'api_key = { credential = "k" }\n'


def told(text: str) -> list[str]:
    found = check({"voxd.toml": text}, installed=lambda: ("custom", "gpt_live", "mock", "openai"))
    return [f"{each.line}: {each.severity.value}: {each.key}: {each.hint}" for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[agents.default]\nprovider = "cloud"', "2: error: agents.default.provider: add [providers.cloud]"),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}[agents.default]\nprovider = "clod"',
            '5: error: agents.default.provider: did you mean "cloud"?',
        ),
        (
            f'[providers.cloud]\nkind = "opnai"\n{KEY}',
            '2: error: providers.cloud.kind: did you mean "openai"?',
        ),
        (
            f'[providers.cloud]\nkind = "strange"\n{KEY}',
            "2: error: providers.cloud.kind: install its package, "
            "or use one of custom, gpt_live, mock, openai",
        ),
        (
            '[providers.cloud]\nkind = "openai"',
            '1: warning: providers.cloud: api_key = { credential = "cloud_key" }, and '
            "/etc/voxd/credentials/cloud_key",
        ),
        (
            '[providers.cloud]\nkind = "openai"\napi_key = "sk-1"',
            '3: warning: providers.cloud.api_key: api_key = { credential = "cloud_key" }, and '
            "/etc/voxd/credentials/cloud_key",
        ),
        ('[providers.own]\nkind = "custom"', '1: error: providers.own: endpoint = "wss://..."'),
        (
            '[providers.own]\nkind = "custom"\nendpoint = "host/v1"',
            '3: error: providers.own.endpoint: endpoint = "wss://host/v1"',
        ),
        ('[providers.local]\nkind = "mock"', "1: error: providers.local: give the provider another name"),
        (
            f'[providers.live]\nkind = "gpt_live"\n{KEY}',
            '1: error: providers.live: turn_detection = "server"',
        ),
        ("[providers.cloud]\n", '1: error: providers.cloud: kind = "..."'),
        ('[agents.default]\npersona = "a pirate"', '2: warning: agents.default.persona: provider = "..."'),
    ],
)
def test_what_is_wrong_with_who_answers_is_told_once_and_at_its_place(text: str, expected: str) -> None:
    assert told(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "",
        f'[providers.cloud]\nkind = "openai"\n{KEY}[agents.default]\nprovider = "cloud"',
        '[providers.own]\nkind = "custom"\noptions = { endpoint = "ws://10.0.0.2/v1", auth_type = "none" }',
        f'[providers.live]\nkind = "gpt_live"\nturn_detection = "server"\n{KEY}',
        '[providers.toy]\nkind = "mock"\n[providers.toy.options]\nreplies = { hello = "Hi." }',
    ],
)
def test_what_is_right_is_passed_over(text: str) -> None:
    assert told(text) == []


def test_a_key_that_stands_in_the_file_is_not_repeated() -> None:
    assert "hunter2" not in str(check({"a": '[providers.cloud]\nkind = "openai"\napi_key = "hunter2"'}))


def test_kinds_are_looked_for_where_providers_are_found() -> None:
    assert answerers.GROUP == registry.GROUP
    assert {"openai", "azure", "gemini", "custom", "mock"} <= set(answerers.installed_kinds())
    assert set(answerers.installed_kinds()) >= answerers.KEYED | answerers.PLACED


def test_the_kinds_need_not_be_looked_for_when_there_is_no_provider() -> None:
    def never() -> tuple[str, ...]:
        raise AssertionError

    assert check({"voxd.toml": "[agents.default]"}, installed=never) == []


def test_editors_know_the_new_tables() -> None:
    assert "Provider" in json_schema()["$defs"]

import pytest

from voxd.config import answerers
from voxd.config.checking import check
from voxd.config.reaching import PLACED
from voxd.config.sample import json_schema
from voxd.providers import registry

KEY = 'api_key = { credential = "k" }\n'


INSTALLED = {
    "providers": ("custom", "gpt_live", "mock", "openai", "pipeline"),
    "stt": ("deepgram", "openai", "wyoming"),
    "llm": ("anthropic", "ollama", "openai"),
    "tts": ("deepgram", "openai"),
    "middleware": ("polite",),
}
HOUSE = '[providers.o]\nkind = "ollama"\n[pipelines.house]\nllm = ["o"]\n'


def told(text: str) -> list[str]:
    found = check({"voxd.toml": text}, installed=lambda: INSTALLED)
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
            "or use one of anthropic, custom, deepgram, gpt_live, mock, ollama, openai, wyoming",
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
        (
            f'[providers.ear]\nkind = "deepgram"\n{KEY}[agents.default]\nprovider = "ear"',
            '5: error: agents.default.provider: add [pipelines.NAME] with "ear" in it, and name that',
        ),
        (
            f'{HOUSE}[agents.default]\nprovider = "house"\nfallback = ["huose", "local"]',
            '7: error: agents.default.fallback[0]: did you mean "house"?',
        ),
        (
            f'{HOUSE}[agents.default]\nprovider = "house"\nfallback = ["house"]',
            "7: warning: agents.default.fallback[0]: name each once",
        ),
        (
            f'{HOUSE}stt = ["o"]',
            "5: error: pipelines.house.stt[0]: use one of deepgram, openai, wyoming",
        ),
        (
            f'{HOUSE}tts = ["oo"]',
            '5: error: pipelines.house.tts[0]: did you mean "o"?',
        ),
        (
            '[pipelines.house]\nllm = ["local"]',
            '2: error: pipelines.house.llm[0]: add [providers.NAME] with kind = "ollama", and name that',
        ),
        (
            '[providers.near]\nkind = "openai"\nendpoint = "htp://10.0.0.2/v1"',
            '3: error: providers.near.endpoint: endpoint = "https://10.0.0.2/v1"',
        ),
        (
            '[providers.near]\nkind = "openai"\nendpoint = "https:///v1"',
            '3: error: providers.near.endpoint: endpoint = "https://host/path"',
        ),
        (
            '[providers.ear]\nkind = "wyoming"\nendpoint = "http://a:1"',
            '3: error: providers.ear.endpoint: endpoint = "tcp://a:1"',
        ),
        (
            '[providers.toy]\nkind = "mock"\nheaders = { X-Id = "{uid}" }',
            '3: warning: providers.toy.headers.X-Id: did you mean "{uuid}"?',
        ),
        (
            '[providers.toy]\nkind = "mock"\nheaders = { X-Token = "hunter2" }',
            "3: warning: providers.toy.headers.X-Token: "
            '{ credential = "x_token" } and /etc/voxd/credentials/x_token',
        ),
        (
            f'{HOUSE}tts = ["local", "local"]',
            "5: warning: pipelines.house.tts[1]: name each once",
        ),
        (
            '[providers.ear]\nkind = "deepgramm"\n' + HOUSE + 'stt = ["ear"]',
            '2: error: providers.ear.kind: did you mean "deepgram"?',
        ),
        (f"{HOUSE}tts = []", '5: error: pipelines.house.tts: tts = ["local"]'),
        ("[pipelines.house]\nllm = []", '2: error: pipelines.house.llm: llm = ["..."]'),
        (
            '[providers.o]\nkind = "ollama"\n[pipelines.o]\nllm = ["o"]',
            "3: error: pipelines.o: give the pipeline another name",
        ),
        ('[providers.p]\nkind = "pipeline"', "2: error: providers.p.kind: write [pipelines.p]"),
        (
            '[providers.ear]\nkind = "wyoming"\nendpoints = ["tcp://a:1", "b:2"]',
            '3: error: providers.ear.endpoints: endpoints = ["tcp://b:2"]',
        ),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}api_keys = ["sk-2"]',
            '4: warning: providers.cloud.api_keys[0]: api_key = { credential = "cloud_key" }, and '
            "/etc/voxd/credentials/cloud_key",
        ),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}max_concurrent = 2\n{HOUSE}',
            "4: warning: providers.cloud.max_concurrent: limit the money: usd_per_day = 1.0",
        ),
        ('[middleware]\nmessage = ["polit"]', '2: error: middleware.message[0]: did you mean "polite"?'),
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
        '[providers.near]\nkind = "openai"\nendpoint = "http://10.0.0.2/v1"',
        f'{HOUSE}stt = ["local"]\n[agents.default]\nprovider = "house"\nfallback = ["local"]',
        f'[providers.all]\nkind = "openai"\n{KEY}requests_per_minute = 60\n'
        '[pipelines.p]\nstt = ["all"]\nllm = ["all"]\ntts = ["all", "local"]',
        '[middleware]\nrequest = ["polite"]',
        '[providers.toy]\nkind = "mock"\nheaders = { X-Id = "{uuid} at {unix_s}" }',
        '[providers.ear]\nkind = "wyoming"\nendpoint = "tcp://10.0.0.2:10300"',
        '[providers.toy]\nkind = "mock"\n[providers.toy.options]\nreplies = { hello = "Hi." }',
    ],
)
def test_what_is_right_is_passed_over(text: str) -> None:
    assert told(text) == []


def test_a_key_that_stands_in_the_file_is_not_repeated() -> None:
    assert "hunter2" not in str(check({"a": '[providers.cloud]\nkind = "openai"\napi_key = "hunter2"'}))


def test_kinds_are_looked_for_where_providers_are_found() -> None:
    assert registry.GROUP in answerers.GROUPS
    found = answerers.installed_kinds()
    assert {"openai", "azure", "gemini", "custom", "mock"} <= set(found["providers"])
    assert {"openai", "deepgram"} <= set(found["stt"]) & set(found["tts"])
    assert {kind for kinds in found.values() for kind in kinds} >= answerers.KEYED | set(PLACED)


def test_the_kinds_need_not_be_looked_for_when_there_is_no_provider() -> None:
    def never() -> dict[str, tuple[str, ...]]:
        raise AssertionError

    assert check({"voxd.toml": "[agents.default]"}, installed=never) == []


def test_editors_know_the_new_tables() -> None:
    assert "Provider" in json_schema()["$defs"]

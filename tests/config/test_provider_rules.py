import pytest

from voxd.config.checking import check
from voxd.config.provider_rules import KindRules, ProviderFacts
from voxd.config.toml_writer import json_schema

KEY = 'api_key = { credential = "k" }\n'


FACTS = ProviderFacts(
    {
        "providers": ("custom", "gpt_live", "mock", "openai", "pipeline"),
        "stt": ("deepgram", "openai", "wyoming"),
        "llm": ("anthropic", "ollama", "openai"),
        "tts": ("deepgram", "openai"),
        "middleware": ("polite",),
    },
    {
        "custom": KindRules(endpoint_example="wss://..."),
        "deepgram": KindRules(needs_key=True),
        "gpt_live": KindRules(needs_key=True, decides_end_of_turn=True),
        "openai": KindRules(needs_key=True, own_server_needs_no_key=True),
        "wyoming": KindRules(endpoint_example="tcp://...", endpoint_schemes=("tcp",)),
    },
)
HOUSE = '[providers.o]\nkind = "ollama"\n[pipelines.house]\nllm = ["o"]\n'


def problems_of(text: str) -> list[str]:
    found = check({"voxd.toml": text}, get_facts=lambda: FACTS)
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
            '1: warning: providers.cloud: write api_key = { credential = "cloud_key" } '
            "and run `voxctl secret set cloud_key`",
        ),
        (
            '[providers.cloud]\nkind = "openai"\napi_key = "sk-1"',
            '3: warning: providers.cloud.api_key: write api_key = { credential = "cloud_key" } '
            "and run `voxctl secret set cloud_key`",
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
            '5: error: agents.default.provider: add [pipelines.NAME] with "ear" in it, and use NAME',
        ),
        (
            f'{HOUSE}[agents.default]\nprovider = "house"\nfallback = ["huose", "local"]',
            '7: error: agents.default.fallback[0]: did you mean "house"?',
        ),
        (
            f'{HOUSE}[agents.default]\nprovider = "house"\nfallback = ["house"]',
            "7: warning: agents.default.fallback[0]: list each once",
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
            '2: error: pipelines.house.llm[0]: add [providers.NAME] with kind = "ollama", and use NAME',
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
            'write { credential = "x_token" } and run `voxctl secret set x_token`',
        ),
        (
            f'{HOUSE}tts = ["local", "local"]',
            "5: warning: pipelines.house.tts[1]: list each once",
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
            '4: warning: providers.cloud.api_keys[0]: write api_key = { credential = "cloud_key" } '
            "and run `voxctl secret set cloud_key`",
        ),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}max_concurrent = 2\n{HOUSE}',
            "4: warning: providers.cloud.max_concurrent: limit the cost instead: usd_per_day = 1.0",
        ),
        (
            f'[middleware]\nmessage = ["polite"]\n[providers.cloud]\nkind = "openai"\n{KEY}'
            '[agents.default]\nprovider = "local"\nfallback = ["cloud"]',
            "8: error: agents.default.fallback[0]: use a pipeline, "
            'or set audio = "unfiltered" in [middleware] to filter its text only',
        ),
        (
            f'[middleware]\nrequest = ["polite"]\n[providers.cloud]\nkind = "openai"\n{KEY}'
            '[agents.default]\nprovider = "cloud"',
            "7: warning: agents.default.provider: use a pipeline, or remove request from [middleware]",
        ),
        ('[middleware]\nmessage = ["polit"]', '2: error: middleware.message[0]: did you mean "polite"?'),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}model = "https://host/v1"',
            "4: warning: providers.cloud.model: write it as endpoint",
        ),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}headers = {{ "X Id" = "a" }}',
            '4: error: providers.cloud.headers."X Id": use letters, digits and -',
        ),
        (
            f'[providers.cloud]\nkind = "openai"\n{KEY}headers = {{ X-Id = "a\\nb" }}',
            "4: error: providers.cloud.headers.X-Id: write it in one line",
        ),
        ("[providers.cloud]\n", '1: error: providers.cloud: kind = "..."'),
        ('[agents.default]\npersona = "a pirate"', '2: warning: agents.default.persona: provider = "..."'),
    ],
)
def test_a_mistake_about_providers_is_reported_once_at_its_place(text: str, expected: str) -> None:
    assert problems_of(text) == [expected]


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
        f'[middleware]\nmessage = ["polite"]\n{HOUSE}[agents.default]\nprovider = "house"',
        f'[middleware]\nmessage = ["polite"]\naudio = "unfiltered"\n[providers.cloud]\nkind = "openai"\n{KEY}'
        '[agents.default]\nprovider = "cloud"',
        '[providers.toy]\nkind = "mock"\nheaders = { X-Id = "{uuid} at {unix_s}" }',
        '[providers.ear]\nkind = "wyoming"\nendpoint = "tcp://10.0.0.2:10300"',
        f'[providers.cloud]\nkind = "openai"\n{KEY}language = "sk-SK"\nvoice = "sk-SK-LukasNeural"',
        f'[providers.cloud]\nkind = "openai"\n{KEY}language = "multi"\nvoice = "hf_alpha"',
        '[providers.toy]\nkind = "mock"\n[providers.toy.options]\nreplies = { hello = "Hi." }',
    ],
)
def test_correct_settings_have_no_problems(text: str) -> None:
    assert problems_of(text) == []


def test_a_key_in_the_file_is_not_repeated_in_the_message() -> None:
    assert "hunter2" not in str(
        check({"a": '[providers.cloud]\nkind = "openai"\napi_key = "hunter2"'}, get_facts=lambda: FACTS)
    )


@pytest.mark.parametrize("key", ["model", "voice", "language", "endpoint"])
def test_a_key_in_the_wrong_place_is_one_error_that_does_not_repeat_it(key: str) -> None:
    text = f'[providers.cloud]\nkind = "openai"\n{KEY}{key} = "sk-0123456789abcdef0123"'
    (problem,) = check({"a": text}, get_facts=lambda: FACTS)
    assert problem.message.startswith("this is a key, not a")
    assert "0123" not in str(problem)


def test_the_facts_are_not_collected_without_a_provider() -> None:
    def never() -> ProviderFacts:
        raise AssertionError

    assert check({"voxd.toml": "[agents.default]"}, get_facts=never) == []


def test_the_json_schema_has_the_table_of_providers() -> None:
    assert "ProviderConfig" in json_schema()["$defs"]

"""Every option that is accepted arrives at the vendor: what the fakes are sent on loopback."""

import importlib
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import bench
from tests.servers.words import spoken
from voxd.config.provider_options import TransportOptions, known_names, read_options, snake_case
from voxd.config.provider_rules import STAGES
from voxd.entry_points import find_entry_points, load_entry_point
from voxd.providers.events import SpeakerPart
from voxd.providers.facts import facts, option_types

GROUPS = {"providers": "realtime", **{stage: stage for stage in STAGES}}
BUILT_IN = [
    (kind, stage, reference)
    for group, stage in GROUPS.items()
    for kind, reference in find_entry_points(f"voxd.{group}").items()
    if reference.startswith("voxd.") and kind != "pipeline"
]


@pytest.mark.parametrize(("kind", "stage", "reference"), BUILT_IN)
def test_every_built_in_class_declares_the_options_of_its_facts(
    kind: str, stage: str, reference: str
) -> None:
    declared = load_entry_point(facts().kind(kind).options[stage])
    assert load_entry_point(reference).options_type is declared
    assert option_types(kind).by_stage[stage] is declared
    aliases: Mapping[str, str] = getattr(declared, "aliases", {})
    # A spelling of a field that does not exist, or that no key can have, would never count.
    assert set(aliases.values()) <= set(declared.__struct_fields__)
    assert all(snake_case(name) == name for name in known_names([declared, TransportOptions]))
    assert not set(aliases) & set(declared.__struct_fields__)


@pytest.mark.parametrize(("kind", "stage", "reference"), BUILT_IN)
def test_a_misspelled_option_of_every_kind_is_an_error_with_the_right_name(
    kind: str, stage: str, reference: str
) -> None:
    types = option_types(kind)
    declared = types.by_stage[stage]
    assert declared is not None
    for name in known_names([declared]):
        if len(name) > 4:
            [mistake] = types.check({name[:-2] + name[-1]: "x"}, (stage,))
            assert mistake.severity == "error"
            assert "did you mean" in mistake.hint


async def sent_by(kind: str, options: Mapping[str, Any], **config: Any) -> dict[str, list[str]]:
    async with bench(kind) as bench_:
        await heard_of(bench_.make(options=dict(options), **config), spoken("one"))
        return bench_.server.last.query


@pytest.mark.parametrize(
    ("kind", "options", "arrives"),
    [
        (
            "deepgram",
            {"encoding": "linear16", "sample_rate": 16_000, "channels": 1, "interim_results": True},
            {"encoding": "linear16", "sample_rate": "16000", "channels": "1", "interim_results": "true"},
        ),
        ("deepgram", {"smartFormat": False, "profanity-filter": True}, {"smart_format": "false"}),
        ("deepgram", {"keyterms": ["voxd"]}, {"keyterm": "voxd"}),
        ("deepgram", {"diarize": True}, {"diarize": "true"}),
        ("deepgram_flux", {"keyterms": ["voxd"], "EagerEotThreshold": 0.4}, {"eager_eot_threshold": "0.4"}),
        ("assemblyai", {"diarize": True}, {"speaker_labels": "true"}),
        ("assemblyai", {"keyterms": ["voxd"]}, {"keyterms_prompt": '["voxd"]'}),
        ("aws", {"vocabulary_name": "medical-terms"}, {"vocabulary-name": "medical-terms"}),
        ("aws", {"VocabularyName": "medical-terms"}, {"vocabulary-name": "medical-terms"}),
        ("aws", {"show_speaker_label": True}, {"show-speaker-label": "true"}),
        (
            "aws",
            {"vocabulary_filter_name": "rude", "vocabulary_filter_method": "mask"},
            {"vocabulary-filter-name": "rude", "vocabulary-filter-method": "mask"},
        ),
        ("elevenlabs", {"keyterm": ["voxd"]}, {"keyterms": "voxd"}),
    ],
)
async def test_other_spellings_count(kind: str, options: dict[str, Any], arrives: dict[str, str]) -> None:
    more = {"region": "eu-central-1"} if kind == "aws" else {}
    query = await sent_by(kind, {**more, **options})
    assert {name: query[name] for name in arrives} == {name: [value] for name, value in arrives.items()}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("deepgram", {"diarize": True}),
        ("assemblyai", {"speaker_labels": True}),
        ("aws", {"show_speaker_label": True, "region": "eu-central-1"}),
    ],
)
async def test_the_transcript_says_who_spoke(kind: str, options: dict[str, Any]) -> None:
    async with bench(kind) as bench_:
        [*_, one] = await heard_of(bench_.make(options=options), spoken("one two"))
        stage = bench_.make(options=options)
        [*_, two] = await heard_of(stage, spoken("one two red green three four"))
    assert (one.text, one.speakers) == ("one two", (SpeakerPart(1, "one two"),))
    assert two.text == "Speaker 1: one two Speaker 2: red green Speaker 1: three four"
    assert two.speakers == (
        SpeakerPart(1, "one two"),
        SpeakerPart(2, "red green"),
        SpeakerPart(1, "three four"),
    )


async def test_without_being_asked_for_speakers_there_are_none() -> None:
    async with bench("deepgram") as bench_:
        [*_, final] = await heard_of(bench_.make(), spoken("one red"))
    assert (final.text, final.speakers) == ("one red", ())


def test_importing_the_options_of_a_kind_imports_nothing_of_its_protocol() -> None:
    for kind, stage, _ in BUILT_IN:
        module = facts().kind(kind).options[stage].partition(":")[0]
        source = importlib.import_module(module).__file__ or ""
        assert source.endswith(("options.py", "script.py"))


class Plain(msgspec.Struct):
    volume: int = 3


def test_a_plain_struct_of_a_third_party_is_a_schema_too() -> None:
    assert read_options({"volume": 5, "other": 1}, Plain) == Plain(5)

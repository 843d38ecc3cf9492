"""The options of Amazon Transcribe and Amazon Polly, also under the names of Amazon's own requests."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from voxd.config.provider_options import ProviderOptions


class AwsSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """Options of Amazon Transcribe.

    ``region`` is an AWS region, such as "eu-central-1"; ``vocabulary`` names a custom vocabulary stored
    there; among ``languages`` Amazon detects the spoken one when no language is set; ``stability`` is how
    early partial words are marked stable, "" for only at the end. With ``diarize`` the transcript says who
    spoke.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "region_name": "region",
        "aws_region": "region",
        "vocabulary_name": "vocabulary",
        "vocabulary_filter_name": "vocabulary_filter",
        "language_options": "languages",
        "partial_results_stability": "stability",
        "show_speaker_label": "diarize",
        "show_speaker_labels": "diarize",
        "language_model_name": "language_model",
        "media_encoding": "encoding",
        "media_sample_rate_hertz": "sample_rate",
    }

    encoding: Literal["pcm"] = "pcm"
    sample_rate: Literal[16_000] = 16_000
    region: str = ""
    vocabulary: str = ""
    vocabulary_filter: str = ""
    vocabulary_filter_method: Literal["", "remove", "mask", "tag"] = ""
    language_model: str = ""
    languages: tuple[str, ...] = ()
    preferred_language: str = ""
    stability: Literal["low", "medium", "high", ""] = "medium"
    diarize: bool = False
    content_redaction_type: Literal["", "PII"] = ""
    content_identification_type: Literal["", "PII"] = ""
    pii_entity_types: str = ""


class AwsTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """``region`` is an AWS region, such as "eu-central-1". Polly offers PCM at these two rates only."""

    aliases: ClassVar[Mapping[str, str]] = {
        "region_name": "region",
        "aws_region": "region",
        "sample_rate": "sample_rate_hz",
        "lexicons": "lexicon_names",
    }

    region: str = ""
    engine: Literal["standard", "neural", "long-form", "generative"] = "neural"
    output_format: Literal["pcm"] = "pcm"
    # Polly's only rates for PCM.
    sample_rate_hz: Literal[8000, 16_000] = 16_000
    lexicon_names: tuple[str, ...] = ()

"""The options of Hugging Face's speech-to-text."""

from voxd.config.provider_options import ProviderOptions


class HuggingFaceSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """The API has no settings but the model."""

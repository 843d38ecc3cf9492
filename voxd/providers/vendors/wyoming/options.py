"""The options of Wyoming servers."""

from voxd.config.provider_options import ProviderOptions


class WyomingSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """A server has no settings but the model and the language."""


class WyomingTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """``speaker`` selects one of a voice with several speakers."""

    speaker: str = ""

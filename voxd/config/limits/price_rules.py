"""Rules about ``[[prices]]`` and ``[rate_limit]`` that the schema cannot express."""

from collections.abc import Iterator

from voxd.config.mistakes.words import did_you_mean
from voxd.config.money_schema import Price
from voxd.config.problems import Finding
from voxd.config.settings import Settings, error, warning
from voxd.config.toml_lines import KeyPath

_AMOUNTS = tuple(name for name in Price.__struct_fields__ if name.startswith("usd_"))

# A price for one token, character or second, written where that of a million or a minute belongs.
_LEAST_PER_MILLION = 0.001


def check_prices(settings: Settings) -> Iterator[Finding]:
    """Yield prices without an amount, for providers that do not exist, or that another entry hides."""
    providers = tuple(settings.get("providers") or ())
    seen: set[tuple[str, str]] = set()
    for path, price in settings.elements("prices"):
        # A key that is not set has no default here: it reads as None, like one with a mistake.
        model, provider = price.get("model"), price.get("provider") or ""
        amounts = {name: value for name in _AMOUNTS if (value := price.get(name)) is not None}
        if not any(name in price for name in _AMOUNTS):
            yield error(path, "it has no amount", "usd_per_million_input = 0.10")
        if provider and provider not in providers:
            hint = did_you_mean(provider, providers) or f"add [providers.{provider}]"
            yield error((*path, "provider"), f'unknown provider "{provider}"', hint)
        yield from _check_amounts(path, amounts)
        if model == "":
            yield error((*path, "model"), "it names no model", 'model = "*" for any')
        if (model, provider) in seen:
            yield warning((*path, "model"), f'"{model}" is priced twice: the first counts', "remove one")
        if model is not None:
            seen.add((model, provider))


def _check_amounts(path: KeyPath, amounts: dict[str, float]) -> Iterator[Finding]:
    for name, value in amounts.items():
        if "million" in name and 0 < value < _LEAST_PER_MILLION:
            message = f"{value:g} USD is very little for a million"
            yield warning((*path, name), message, f"{name} = {value * 1_000_000:g}")
    if "usd_per_million_input" in amounts and "usd_per_million_output" not in amounts:
        message = "without the price of the output only the input is counted"
        yield warning(path, message, "usd_per_million_output = 0.50")

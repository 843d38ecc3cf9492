"""Checks of providers without a request to a vendor: announced shutdowns of models, missing prices."""

from datetime import UTC, date, datetime

from voxd.cli.doctor.check import CheckResult, DoctorContext, fail, ok, skip, warn
from voxd.config.schema import Config
from voxd.errors import VoxdError
from voxd.providers.costs import has_price, prices_for
from voxd.providers.facts import default_model, facts
from voxd.providers.pipeline.stages.registry import kinds_of, stage_class
from voxd.providers.registry import has_provider, provider_class


def models_last(context: DoctorContext) -> CheckResult:
    """Whether a configured model will be shut down."""
    return models_last_on(context, datetime.now(UTC).date())


def models_last_on(context: DoctorContext, today: date) -> CheckResult:
    """Whether a configured model is or will be shut down, as of ``today``."""
    providers = context.config.providers
    if not providers:
        return skip("no provider is configured")
    found = [
        (name, each.model, shutdown)
        for name, each in providers.items()
        if (shutdown := facts().shutdown_of(each.kind, each.model, each.endpoint)) is not None
    ]
    if not found:
        return ok("no configured model is due for retirement")
    # The nearest date first: its model is in the hint.
    found.sort(key=lambda entry: entry[2].ends)
    detail = "; ".join(f"{model} of {name} shuts down on {shutdown.ends}" for name, model, shutdown in found)
    name, _, first = found[0]
    result = fail if first.ends <= today else warn
    return result(detail, f"set the model of [providers.{name}] to {first.instead}")


def money_counted(context: DoctorContext) -> CheckResult:
    """Whether every provider with a daily spending limit has a known price."""
    config = context.config
    limited = [
        name
        for name, each in config.providers.items()
        if config.spend.usd_per_day is not None or each.usd_per_day is not None
    ]
    if not limited:
        return skip("no spending limit is configured")
    unknown = [name for name in limited if not _is_priced(config, name)]
    if not unknown:
        return ok("every limited provider has a known price")
    detail = f"no price is known for {', '.join(unknown)}: they are counted by an upper estimate"
    return warn(detail, "add [[prices]] with what their models cost")


def _is_priced(config: Config, name: str) -> bool:
    provider, prices = config.providers[name], prices_for(config, name)
    models = [("", provider.model)] if provider.model else _default_models(config, name)
    # A kind without a known model has no price that could be counted.
    return bool(models) and all(
        has_price(provider.kind, model, stage=stage, prices=prices) for stage, model in models
    )


def _default_models(config: Config, name: str) -> list[tuple[str, str]]:
    """Return stages and models that ``name`` uses by default; none for a kind that cannot be loaded."""
    kind = config.providers[name].kind
    used = [
        stage
        for stage in kinds_of(kind)
        if any(name in getattr(each, stage) for each in config.pipelines.values())
    ]
    try:
        models: list[tuple[str, str]] = [
            (stage, stage_class(stage, kind).default_model or default_model(kind, stage))
            for stage in used or kinds_of(kind)
        ]
        if has_provider(kind) and not used:
            models.append(("realtime", str(getattr(provider_class(kind), "model", ""))))
    except VoxdError:
        # A kind whose package is broken or missing: config.valid reports it.
        return []
    return models

"""What `voxctl doctor` knows of vendors without asking them: the announced ends of their models."""

from datetime import UTC, date, datetime

from voxd.cli.checkup import Finding, Patient, fail, ok, skip, warn
from voxd.providers.sunsets import sunset_of


def models_last(patient: Patient) -> Finding:
    """Whether a configured model will be shut down."""
    return models_last_on(patient, datetime.now(UTC).date())


def models_last_on(patient: Patient, today: date) -> Finding:
    """Whether a configured model is shut down, or will be, seen from ``today``."""
    providers = patient.config.providers
    if not providers:
        return skip("no provider is configured")
    found = [
        (name, each.model, sunset)
        for name, each in providers.items()
        if (sunset := sunset_of(each.kind, each.model, each.endpoint)) is not None
    ]
    if not found:
        return ok("no end of a configured model is announced")
    found.sort(key=lambda entry: entry[2].ends)
    detail = "; ".join(f"{model} of {name} ends on {sunset.ends}" for name, model, sunset in found)
    name, _, first = found[0]
    finding = fail if first.ends <= today else warn
    return finding(detail, f"set the model of [providers.{name}] to {first.instead}")

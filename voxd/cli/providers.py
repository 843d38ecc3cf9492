"""`voxctl provider` and `voxctl usage`: list, select and test providers, and show their usage and cost."""

import argparse
from argparse import Namespace
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import OK
from voxd.cli.output import print_json, print_result, print_text
from voxd.cli.table import print_rows, print_table

# Changing the provider waits for the reply under way; a test waits for the vendor.
PATIENCE_S = 90.0

# What `usage.get` takes at most (`voxd.control.params.Days`).
MAX_DAYS = 400

# The kind of a [pipelines.NAME] table: [providers.NAME] cannot have it.
PIPELINE = "pipeline"


def register(subparsers: Any) -> None:
    """Add the commands."""
    provider = subparsers.add_parser(
        "provider",
        help="list, choose or test providers",
        examples=("voxctl provider", "voxctl provider test openai"),
    )
    provider.set_defaults(run=list_providers)
    actions = provider.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser(
        "list",
        help="show providers and pipelines, their agents and their state",
        examples=("voxctl provider list",),
    )
    listing.set_defaults(run=list_providers)
    kinds = actions.add_parser(
        "kinds", help="show the kinds of providers that are installed", examples=("voxctl provider kinds",)
    )
    kinds.set_defaults(run=list_kinds)
    use = actions.add_parser(
        "use",
        help="use another provider until a restart",
        examples=("voxctl provider use openai", "voxctl provider use local --agent default"),
    )
    use.add_argument(
        "name", metavar="PROVIDER", help="a name of [providers.NAME], [pipelines.NAME], or local"
    )
    use.add_argument("--agent", metavar="AGENT", default="default", help="for which agent (default: default)")
    use.set_defaults(run=use_provider)
    test = actions.add_parser(
        "test",
        help="check whether a provider is available, at no cost",
        examples=("voxctl provider test openai",),
    )
    test.add_argument("name", metavar="PROVIDER", help="a name of [providers.NAME] or [pipelines.NAME]")
    test.set_defaults(run=test_provider)
    usage = subparsers.add_parser(
        "usage",
        help="show the usage and cost of providers",
        examples=("voxctl usage", "voxctl usage --days 7 --json"),
    )
    usage.add_argument(
        "--days", type=_days, default=30, metavar="N", help="the last N days, today included (default: 30)"
    )
    usage.set_defaults(run=show_usage)


def list_providers(args: Namespace) -> int:
    """``voxctl provider list``."""
    providers = request(args, "provider.list")
    rows = [
        (
            each["name"],
            each["kind"],
            each["model"],
            # A pipeline runs its stages one after another; another provider can do any of them.
            " > ".join(each["stages"]) if each["kind"] == PIPELINE else ", ".join(each["stages"]),
            ", ".join(each["agents"]),
            each["problem"] or "ok",
        )
        for each in providers
    ]
    return print_rows(args, providers, ("name", "kind", "model", "does", "agents", "state"), rows)


def list_kinds(args: Namespace) -> int:
    """``voxctl provider kinds``; needs no daemon."""
    kinds = _kinds()
    rows = [
        (does, kind["name"], kind["source"], kind["load_error"] or "ok")
        for does, found in kinds.items()
        for kind in found
    ]
    return print_rows(args, kinds, ("does", "kind", "package", "state"), rows)


def _kinds() -> Any:
    # Loaded in this process, not in the daemon: kinds that are not used must not stay in its memory.
    import msgspec

    from voxd.providers.pipeline.stages.registry import list_stages
    from voxd.providers.registry import provider_statuses

    speech = [each for each in provider_statuses() if each.name != PIPELINE]
    groups = {"realtime": speech, **{stage: list_stages(stage) for stage in ("stt", "llm", "tts")}}
    return msgspec.to_builtins(groups)


def use_provider(args: Namespace) -> int:
    """``voxctl provider use``."""
    request(args, "provider.use", timeout_s=PATIENCE_S, name=args.name, agent=args.agent)
    result = {"agent": args.agent, "provider": args.name}
    return print_result(args, result, f"{args.name} answers for {args.agent}")


def test_provider(args: Namespace) -> int:
    """``voxctl provider test``; an unavailable provider is an error like any other."""
    tested = request(args, "provider.test", timeout_s=PATIENCE_S, name=args.name)
    return print_result(args, tested, f"{tested['name']} answers: {tested['latency_ms']:.0f} ms")


def show_usage(args: Namespace) -> int:
    """``voxctl usage``; the line below the table is the sum."""
    entries = request(args, "usage.get", days=args.days)
    if args.json:
        print_json(entries)
        return OK
    rows = [
        (
            each["day"],
            each["provider"],
            each["stage"],
            # 0 is "no key", as for a server of the user.
            each["key"] or "",
            each["responses"],
            f"{each['audio_s'] / 60:.1f}",
            each["text_tokens"],
            each["audio_tokens"],
            each["characters"],
            _money(each["cost_usd"], complete=bool(each["prices_of"] or each["upper_usd"])),
        )
        for each in entries
    ]
    columns = (
        "day", "provider", "stage", "key", "requests", "sound (min)", "text tokens", "audio tokens",
        "characters", "cost (USD)",
    )  # fmt: skip
    print_table(columns, rows, args, empty="nothing was used")
    # A use without a price is unknown, not free: the sum then says "at least".
    known = [each["cost_usd"] for each in entries if each["cost_usd"] is not None]
    if known:
        complete = all(each["prices_of"] or each["upper_usd"] for each in entries)
        # The oldest price list: the sum is only as good as that.
        oldest = min((each["prices_of"] for each in entries if each["prices_of"]), default="")
        prices = f", by the prices of {oldest}" if oldest else ""
        print_text(f"together {_money(sum(known), complete=complete)} USD{prices}")
    upper = sum(each["upper_usd"] for each in entries)
    if upper:
        # Loaded here: the other commands need no prices.
        from voxd.providers.costs import UPPER_IN_WORDS

        names = ", ".join(sorted({each["provider"] for each in entries if each["upper_usd"]}))
        print_text(f"of which {upper:.4f} USD are an upper estimate: a model of {names} has no known price")
        print_text(f"({UPPER_IN_WORDS}); set [[prices]] in voxd.toml")
    unpriced = sorted({each["provider"] for each in entries if not (each["prices_of"] or each["upper_usd"])})
    if unpriced:
        print_text(f"no known price, not in the sum: {', '.join(unpriced)}; set [[prices]] in voxd.toml")
    return OK


def _money(dollars: float | None, *, complete: bool) -> str:
    if dollars is None:
        return "unknown"
    return f"{dollars:.4f}" if complete else f"at least {dollars:.4f}"


def _days(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"expected a number of days from 1 to {MAX_DAYS}, not {word!r}")
    return int(word)

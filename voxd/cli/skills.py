"""`voxctl skills`: tries sentences on a simulated device, with no daemon needed."""

import asyncio
import dataclasses
from argparse import Namespace
from typing import Any

from voxd.cli.exits import FAILED, OK
from voxd.cli.inputs import given_text, load_config, read_text
from voxd.cli.output import print_json, print_progress, print_text
from voxd.cli.table import print_fields, print_table
from voxd.clock import SystemClock
from voxd.skills.evaluation.evaluate import CaseVerdict, EvaluationReport, Result, count, evaluate
from voxd.skills.evaluation.explanation import Explanation, explain
from voxd.skills.evaluation.phrase_file import FORMAT, read_phrases

_DESCRIPTION = """\
Says every sentence of FILE to a simulated device and judges what that changes: the timers, alarms, reminders,
the volume and the microphone, never the wording. The commands of the configuration are recognised, but what
they would run is not run.

  right      it did what is expected
  refused    it did nothing and said so, although something was expected
  asked      it asked a question, although something was expected
  wrong      it did something else, or gave another answer
  destroyed  what it did deleted, muted or altered what it should not have touched

The exit code is 1 when something is wrong or destroyed, and when FILE cannot be read.

The file:

"""

_CONFUSE = """
With --confuse every line is also said as a recogniser may mishear it: once for each kind of error that is
possible in it. Then the device may refuse or ask, or do what was expected. Where the error changed a word of
a number, time or date, the values may differ; where it changed a word of a name, the name may differ by that.
"""


def register(subparsers: Any) -> None:
    """Add the command and its actions."""
    skills = subparsers.add_parser(
        "skills",
        help="try sentences on a simulated device",
        examples=('voxctl skills explain "switch on the lamp"', "voxctl skills eval phrases.tsv"),
    )
    actions = skills.add_subparsers(title="actions", metavar="ACTION", required=True)
    evaluation = actions.add_parser(
        "eval",
        help="judge what the sentences of a file do",
        description=_DESCRIPTION + FORMAT + _CONFUSE,
        examples=("voxctl skills eval phrases.tsv", "voxctl skills eval phrases.tsv --confuse 7 --json"),
    )
    evaluation.add_argument("file", metavar="FILE", help="the sentences, each with what is expected")
    evaluation.add_argument("--all", action="store_true", help="list the sentences that are right, too")
    evaluation.add_argument(
        "--confuse", type=int, metavar="SEED", help="also mishear each sentence; the seed is any number"
    )
    evaluation.set_defaults(run=evaluate_file)
    why = actions.add_parser(
        "explain",
        help="show how a sentence is understood, and why",
        examples=('voxctl skills explain "switch on the lamp"',),
    )
    why.add_argument("text", nargs="+", metavar="TEXT", help="the sentence")
    why.set_defaults(run=explain_text)


def evaluate_file(args: Namespace) -> int:
    """``voxctl skills eval``: 1 when something is wrong. Raises `InvalidRequest` for a malformed file."""
    cases = read_phrases(read_text(args.file), args.file)
    report = asyncio.run(
        evaluate(cases, load_config(args).skills, confuse=args.confuse, progress=print_progress)
    )
    if args.json:
        print_json(_as_json(report, args))
    else:
        _print(report, args)
    worst = max(result.verdict for result in (*report.exact, *report.confused))
    return FAILED if worst >= CaseVerdict.WRONG else OK


def _print(report: EvaluationReport, args: Namespace) -> None:
    runs = _runs(report)
    print_table(
        ("run", "sentences", *(verdict.name.lower() for verdict in CaseVerdict)),
        [(name, len(results), *_shares(results)) for name, results in runs.items()],
        args,
    )
    for results in runs.values():
        for result in results:
            if _is_shown(result, args):
                _print_result(result, args)


def _print_result(result: Result, args: Namespace) -> None:
    error = f" ({result.variant.kind})" if result.variant else ""
    title = f"{args.file}:{result.case.line}: {result.verdict.name.lower()}{error}: {result.text}"
    print_fields(title, {"expected": result.case.wanted, "got": result.got}, args)


def _runs(report: EvaluationReport) -> dict[str, tuple[Result, ...]]:
    return {"exact": report.exact} | ({"confused": report.confused} if report.confused else {})


def _shares(results: tuple[Result, ...]) -> list[str]:
    return [f"{number} ({number / len(results):.1%})" for number in count(results).values()]


def _is_shown(result: Result, args: Namespace) -> bool:
    # A misheard sentence may be refused or asked about: that is not a fault.
    least = CaseVerdict.REFUSED if result.variant is None else CaseVerdict.WRONG
    return bool(args.all) or result.verdict >= least


def _as_json(report: EvaluationReport, args: Namespace) -> dict[str, Any]:
    runs = _runs(report)
    return {
        "file": args.file,
        "runs": {
            name: {
                "sentences": len(results),
                **{verdict.name.lower(): number for verdict, number in count(results).items()},
            }
            for name, results in runs.items()
        },
        "cases": [
            {
                "line": result.case.line,
                "run": name,
                "error": result.variant.kind if result.variant else "",
                "verdict": result.verdict.name.lower(),
                "text": result.text,
                "expected": result.case.wanted,
                "got": result.got,
                "intent": result.intent,
                "reply": result.reply,
            }
            for name, results in runs.items()
            for result in results
            if _is_shown(result, args)
        ],
    }


def explain_text(args: Namespace) -> int:
    """``voxctl skills explain``; 1 when no intent was taken."""
    explanation = asyncio.run(explain(given_text(args.text), load_config(args).skills, SystemClock()))
    if args.json:
        print_json(dataclasses.asdict(explanation))
    else:
        _print_explanation(explanation, args)
    return OK if any(candidate.taken for candidate in explanation.candidates) else FAILED


def _print_explanation(explanation: Explanation, args: Namespace) -> None:
    print_fields("words", {"": " ".join(explanation.words)}, args)
    if explanation.values:
        rows = [(value.kind, value.words, value.value) for value in explanation.values]
        print_table(("value", "words", "means"), rows, args)
    if explanation.candidates:
        print_table(
            ("intent", "understood as", "taken", "values", "reason"),
            [
                (
                    candidate.intent,
                    candidate.text,
                    candidate.taken,
                    ", ".join(f"{name}={value}" for name, value in candidate.slots),
                    candidate.reason,
                )
                for candidate in explanation.candidates
            ],
            args,
        )
    else:
        print_text("no sentence of the grammar matches")
    print_fields("what is done", {"": explanation.decision}, args)

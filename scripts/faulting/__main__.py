"""The command line of `scripts/faults`: plays every fault on every chain and prints what a user heard."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from rich.console import Console

from scripts.faulting import ownnet
from scripts.faulting.chains import CHAINS, Chain
from scripts.faulting.faults import FAULTS, Fault
from scripts.faulting.flaps import flap
from scripts.faulting.names import name_server
from scripts.faulting.rig import Stage, turn
from scripts.faulting.rows import LIMIT_S, Row, table
from tests.rig.certificates import authority
from tests.rig.speech import question

QUESTION = "what time is it"
UNKNOWN = "who painted the ceiling of the chapel"
_WIDTH = 160


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    made.add_argument("--only", default="", metavar="N1,N7,…", help="these faults only")
    made.add_argument("--chain", default="", metavar="TEXT", help="chains whose name holds this")
    made.add_argument(
        "--flaps", type=int, default=200, metavar="COUNT", help="connection flaps (N15); 0: none"
    )
    made.add_argument("--json", action="store_true", help="print the rows as JSON")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 when a row is late or silent, or a question was lost."""
    args = parser().parse_args(arguments)
    # The fake vendors' own complaints about what we do to them.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    ownnet.enter()
    chosen = set(args.only.upper().split(",")) - {""}
    faults = [fault for fault in FAULTS if not chosen or fault.id in chosen]
    chains = [chain for chain in CHAINS if args.chain in chain.name]
    console = Console(stderr=args.json, width=None if sys.stdout.isatty() else _WIDTH)
    with tempfile.TemporaryDirectory(prefix="voxd-faults-") as work:
        flaps = args.flaps if not chosen or "N15" in chosen else 0
        rows = asyncio.run(_run(Path(work), faults, chains, flaps, console))
    if args.json:
        print(msgspec.json.encode(rows).decode())
    console.print(table(rows))
    worst = max((row.first_sound_s for row in rows if row.first_sound_s is not None), default=0.0)
    bad = [row for row in rows if row.verdict not in {"ok", "skipped"}]
    console.print(
        f"{len(rows)} rows, {len(bad)} not well; the latest first sound {worst:.2f} s [{LIMIT_S:g} s]"
    )
    return 1 if bad else 0


async def _run(
    work: Path, faults: Sequence[Fault], chains: Sequence[Chain], flaps: int, console: Console
) -> list[Row]:
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        names = None
        if ownnet.inside():
            ownnet.set_up(work)
            names = await stack.enter_async_context(name_server())
        known = Stage(question(QUESTION, work), QUESTION, authority(work), names)
        unknown = Stage(question(UNKNOWN, work), UNKNOWN, known.authority, names)
        for chain in chains:
            for fault in faults:
                rows.append(await _row(chain, fault, known, _new(work, f"turn{len(rows)}")))
                console.print(f"{rows[-1].verdict:8}{chain.name}: {fault.id} {fault.what}", style="dim")
            if any(fault.id == "N3" for fault in faults) and not chain.spared:
                refused = next(fault for fault in faults if fault.id == "N3")
                row = await _row(chain, refused, unknown, _new(work, f"turn{len(rows)}"))
                rows.append(msgspec.structs.replace(row, what="refused, and the device does not know either"))
    for chain in chains if flaps else ():
        rows.append(await _flaps(chain, _new(work, f"flaps{len(rows)}"), flaps))
    return rows


async def _row(chain: Chain, fault: Fault, stage: Stage, directory: Path) -> Row:
    if fault.own_net and not ownnet.inside():
        return Row(fault=fault.id, what=fault.what, chain=chain.name, skipped=ownnet.why_not())
    return await turn(chain, fault, stage, directory)


async def _flaps(chain: Chain, directory: Path, count: int) -> Row:
    tally = await flap(chain, directory, count)
    well = not (tally.lost or tally.doubled or tally.dropped or tally.silent)
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in tally.outcomes.most_common())
    return Row(
        fault="N15",
        what=f"{count} connection flaps",
        chain=chain.name,
        is_well=well,
        fate=outcomes,
        said=f"{len(tally.kept)} kept, {len(tally.lost)} lost, {len(tally.doubled)} answered twice",
    )


def _new(work: Path, name: str) -> Path:
    directory = work / name
    directory.mkdir()
    return directory


if __name__ == "__main__":
    raise SystemExit(main())

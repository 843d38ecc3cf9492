"""One turn of a real daemon: a question is spoken, a fault is injected, and the events are recorded."""

import asyncio
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.faulting.chains import Chain
from scripts.faulting.faults import Fault, Scene, When
from scripts.faulting.names import NameServer
from scripts.faulting.rows import ANSWERED, BROKEN_OFF, KEPT, Row
from scripts.faulting.vendors import Vendors, vendors
from tests.rig.certificates import Authority
from tests.rig.process import VoxdProcess

TURN_S = 30.0
_NAME = "vendor.lan"
_CUE = {When.SPEAKING: ("speech.started", None), When.REPLYING: ("playback.started", "reply")}


@dataclass(frozen=True, slots=True)
class Stage:
    """What all turns of a run share: the recording, what is said in it, and the network."""

    recording: Path
    question: str
    authority: Authority
    names: NameServer | None = None


async def turn(chain: Chain, fault: Fault, stage: Stage, directory: Path) -> Row:
    """Play ``fault`` on ``chain`` once, in a fresh daemon."""
    row = Row(fault=fault.id, what=fault.what, chain=chain.name)
    async with AsyncExitStack() as stack:
        fakes = await stack.enter_async_context(vendors(stage.question))
        if stage.names is not None:
            stage.names.announce(v4="127.0.0.1")
        scene = Scene(fakes, chain.hit, stage.authority, stage.names)
        if fault.when is When.BEFORE:
            await stack.enter_async_context(fault.deed(scene))
        process = VoxdProcess(directory, sets=_settings(chain, fault, stage, fakes))
        stack.push_async_callback(process.close)
        await process.start()
        events = await _watch(process, fault, scene, stack)
        return await _judge(row, events, process, is_replying=fault.when is When.REPLYING)


def _settings(chain: Chain, fault: Fault, stage: Stage, fakes: Vendors) -> tuple[str, ...]:
    host = _NAME if fault.named else "127.0.0.1"
    settings = chain.settings(lambda name: f"{host}:{fakes.port(name)}")
    if fault.secure:
        hit = tuple(f"providers.{name}." for name in chain.hit)
        settings = tuple(
            line.replace('"ws://', '"wss://').replace('"http://', '"https://')
            if line.startswith(hit)
            else line
            for line in settings
        )
        settings += tuple(
            f'providers.{name}.options={{ ca_file = "{stage.authority.ca_file}" }}' for name in chain.hit
        )
    return (
        'audio.input="virtual"',
        'audio.output="virtual"',
        f'audio.virtual_input="{stage.recording}"',
        *settings,
    )


async def _watch(
    process: VoxdProcess, fault: Fault, scene: Scene, stack: AsyncExitStack
) -> list[dict[str, Any]]:
    """Return the events of the turn; the fault begins at its cue."""
    events: list[dict[str, Any]] = []
    cue = _CUE.get(fault.when)
    async with process.client() as client:
        subscription = client.subscribe(("*",))
        async with aclosing(subscription):
            await anext(subscription)
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_S):
                    async for event in subscription:
                        events.append(event)
                        if (
                            cue
                            and event.get("type") == cue[0]
                            and event["data"].get("kind") in (cue[1], None)
                        ):
                            cue = None
                            await stack.enter_async_context(fault.deed(scene))
                        if event.get("type") == "turn.ended":
                            break
    return events


async def _judge(row: Row, events: list[dict[str, Any]], process: VoxdProcess, *, is_replying: bool) -> Row:
    """Return ``row`` filled from the turn's events; ``is_replying``: the fault began during the reply."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_type.setdefault(event.get("type", ""), []).append(event["data"])
    ended = by_type.get("turn.ended", [{}])[-1]
    said = " ".join(data["text"] for data in by_type.get("turn.reply", []))
    sound_s = ended.get("stages_ms", {}).get("response")
    fate = KEPT if "queue.added" in by_type else str(ended.get("outcome", ""))
    if is_replying and fate not in (ANSWERED, KEPT) and "error" in by_type:
        fate = BROKEN_OFF
    async with process.client() as client:
        status = await client.call("system.status")
    agent = next(iter(status["agents"]))
    failed = by_type.get("provider.failed", [])
    codes = sorted({f"{data['provider']} {data['code']}" for data in failed})
    return Row(
        fault=row.fault,
        what=row.what,
        chain=row.chain,
        first_sound_s=sound_s / 1000 if sound_s is not None else None,
        fate=fate,
        said=said,
        next=str(agent["answering"]),
        note=", ".join(codes),
    )

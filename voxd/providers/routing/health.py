"""Knows which providers are well: told by whoever asks them, and by probes while they are not."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from voxd.clock import Clock, s_to_midnight
from voxd.errors import VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.routing.health_rules import Cause, Illness, after, cause_of, may_be_asked, rest_s

_log = logging.getLogger(__name__)

PROBE_S = 3.0
"""A probe that has not succeeded by then has failed: the next one must still come in time (R9)."""

Lists = tuple[tuple[str, ...], ...]
"""The names a pipeline is made of: who listens, who thinks, who speaks, each in the order they are asked."""

Probe = Callable[[], Awaitable[None]]
"""Asks a provider for something that costs nothing. Raises `VoxdError` when he cannot answer."""


@dataclass(slots=True)
class _Patient:
    """What is known of one that is ill; ``trial``: somebody has mended him, so he may be asked."""

    illness: Illness
    rest_s: float
    trial: bool = False
    told: set[bool] = field(default_factory=set)


class HealthBoard:
    """One for the whole process; a name is that of a provider or a pipeline in the configuration.

    Nobody waits for a probe: probes run in the background, and only for those who are ill. A pipeline is as
    well as the best of each of its lists. ``jitter`` returns random numbers in 0..1. All methods belong to
    the event loop.
    """

    def __init__(self, *, emit: Emit, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._probes: dict[str, Probe] = {}
        self._lists: dict[str, Lists] = {}
        self._patients: dict[str, _Patient] = {}
        self._relapses: dict[str, int] = {}
        self._probing: dict[str, asyncio.Task[None]] = {}

    def watch(self, name: str, probe: Probe) -> None:
        """From now on ``probe`` finds out whether ``name`` is well again; without one a question has to.

        He is one by himself, unless `compose` says what he is made of.
        """
        self._probes[name] = probe
        self._lists.pop(name, None)

    def compose(self, name: str, lists: Lists) -> None:
        """Pipeline ``name`` needs one of each of ``lists``; names without a probe are always well."""
        self._lists[name] = lists

    def drop(self, name: str) -> None:
        """Forget ``name``: he is no longer in the configuration."""
        self._probes.pop(name, None)
        self._lists.pop(name, None)
        self._recovered(name)
        self._relapses.pop(name, None)

    def is_well(self, name: str) -> bool:
        """Whether ``name`` is to be asked."""
        patient = self._patients.get(name)
        if patient is None or patient.trial:
            return all(any(map(self.is_well, members)) for members in self._lists.get(name, ()))
        return name not in self._probes and self._clock.monotonic() >= self._due_s(patient)

    def may_be_asked(self, name: str) -> bool:
        """Whether ``name`` may be asked when nobody who is well is left."""
        patient = self._patients.get(name)
        if patient is not None and not (self.is_well(name) or may_be_asked(patient.illness.cause)):
            return False
        return all(any(map(self.may_be_asked, members)) for members in self._lists.get(name, ()))

    def illness(self, name: str) -> Illness | None:
        """Return why ``name`` does not answer, None when he does."""
        patient = self._patients.get(name)
        if patient is not None:
            return patient.illness
        missing = self._missing(name)
        return self.illness(missing) if missing else None

    def culprit(self, name: str) -> str:
        """Return who is to blame when ``name`` does not answer: of a pipeline its member, if it is he."""
        return name if name in self._patients else self._missing(name) or name

    def failed(self, name: str, error: VoxdError) -> None:
        """Note that ``name`` was asked and did not answer; a pipeline only where none of its members did."""
        cause = cause_of(error)
        if cause is None or self._missing(name):
            return
        if name not in self._patients and cause in (Cause.SILENCE, Cause.SERVER):
            self._relapses[name] = self._relapses.get(name, -1) + 1
        self._note(name, error, cause, self._clock.monotonic())

    def answered(self, name: str) -> None:
        """Note that ``name`` has answered a question."""
        self._relapses.pop(name, None)
        self._recovered(name)

    def renew(self, name: str) -> None:
        """Somebody has mended ``name``, or says so: he may be asked, and is probed at once."""
        self._relapses.pop(name, None)
        if patient := self._patients.get(name):
            patient.trial, patient.rest_s = True, 0.0
            self._watch_over(name)

    def tell(self, name: str, *, aloud: bool) -> bool:
        """Whether the user is to be told now that ``name`` does not answer: once in each outage."""
        patient = self._patients.get(self.culprit(name))
        if patient is None or aloud in patient.told:
            return False
        patient.told.add(aloud)
        return True

    async def close(self) -> None:
        """End the probes; idempotent."""
        tasks = [*self._probing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _missing(self, name: str) -> str:
        """Return the first of a list of ``name`` none of which is well, "" when there is no such list."""
        ill = (each for each in self._lists.get(name, ()) if not any(map(self.is_well, each)))
        return next((members[0] for members in ill if members), "")

    def _note(self, name: str, error: VoxdError, cause: Cause, asked_s: float) -> None:
        patient = self._patients.get(name)
        before = patient.illness if patient is not None else None
        illness = after(error, cause, before, asked_s, self._relapses.get(name, 0))
        wait_s = rest_s(illness, jitter=self._jitter(), to_midnight_s=s_to_midnight(self._clock.wall()))
        if patient is None:
            self._patients[name] = _Patient(illness, wait_s)
            self._emit(E.PROVIDER_FAILED, provider=name, code=error.code, reason=str(error))
        else:
            patient.illness, patient.rest_s, patient.trial = illness, wait_s, False
            _log.debug("%s still does not answer: %s", name, error)
        self._watch_over(name)

    def _recovered(self, name: str) -> None:
        if self._patients.pop(name, None) is None:
            return
        task = self._probing.pop(name, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._emit(E.PROVIDER_RESTORED, provider=name)

    def _due_s(self, patient: _Patient) -> float:
        return patient.illness.asked_s + patient.rest_s

    # --- probes -----------------------------------------------------------------------------------

    def _watch_over(self, name: str) -> None:
        """Have somebody probe ``name`` as soon as that may be; who already waits, waits anew."""
        if name not in self._probes:
            return
        task = self._probing.get(name)
        if task is not None:
            if task is asyncio.current_task():
                return
            task.cancel()
        self._probing[name] = asyncio.create_task(self._nurse(name), name=f"probe {name}")

    async def _nurse(self, name: str) -> None:
        while (patient := self._patients.get(name)) is not None:
            left_s = self._due_s(patient) - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
                continue
            await self._probe(name, patient)

    async def _probe(self, name: str, patient: _Patient) -> None:
        # The wait for the next one begins now: a probe that hangs must not put it off.
        begun_s = self._clock.monotonic()
        try:
            with translate_errors(name):
                async with asyncio.timeout(PROBE_S):
                    await self._probes[name]()
        except VoxdError as error:
            if self._patients.get(name) is patient:
                self._note(name, error, cause_of(error) or Cause.SERVER, begun_s)
        else:
            if self._patients.get(name) is patient:
                self._recovered(name)

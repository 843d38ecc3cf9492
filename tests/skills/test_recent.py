"""The changes of the last sentence are undone together, and "it" means what they concerned."""

import pytest

from tests.fakes import FakeClock
from voxd.errors import NotFound
from voxd.skills.recent import UNDO_S, Recent


class Deeds:
    """Changes that note their undoing."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.recent = Recent(self.clock)
        self.undone: list[str] = []

    def do(self, name: str, *ids: int) -> None:
        async def undo() -> None:
            self.undone.append(name)

        self.recent.remember(undo, *ids)

    async def undo(self) -> list[str]:
        self.undone.clear()
        assert await self.recent.revert() == bool(self.undone)
        return self.undone


@pytest.fixture
def deeds() -> Deeds:
    return Deeds()


async def test_the_changes_of_a_sentence_are_undone_the_last_first(deeds: Deeds) -> None:
    deeds.recent.begin()
    deeds.do("a", 1)
    deeds.do("b", 2)
    assert deeds.recent.is_undoable
    assert deeds.recent.ids == (1, 2)
    assert await deeds.undo() == ["b", "a"]


async def test_only_the_last_sentence_that_changed_something_counts(deeds: Deeds) -> None:
    deeds.recent.begin()
    deeds.do("a", 1)
    deeds.recent.begin()
    assert deeds.recent.ids == (1,)
    deeds.do("b", 2)
    assert deeds.recent.ids == (2,)
    assert await deeds.undo() == ["b"]
    assert await deeds.undo() == []


async def test_what_was_undone_is_still_meant_by_it(deeds: Deeds) -> None:
    deeds.recent.begin()
    deeds.do("a", 1)
    await deeds.undo()
    assert not deeds.recent.is_undoable
    assert deeds.recent.ids == (1,)


async def test_it_is_forgotten_after_a_while(deeds: Deeds) -> None:
    deeds.recent.begin()
    deeds.do("a", 1)
    await deeds.clock.advance(UNDO_S)
    assert deeds.recent.is_undoable
    await deeds.clock.advance(1)
    assert (deeds.recent.is_undoable, deeds.recent.ids) == (False, ())
    assert await deeds.undo() == []


async def test_what_is_gone_does_not_keep_the_rest_from_being_undone(deeds: Deeds) -> None:
    async def gone() -> None:
        raise NotFound("unknown timer 1")

    deeds.recent.begin()
    deeds.do("a", 1)
    deeds.recent.remember(gone, 2)
    assert await deeds.undo() == ["a"]


async def test_at_first_there_is_nothing(deeds: Deeds) -> None:
    assert (deeds.recent.is_undoable, deeds.recent.ids, await deeds.undo()) == (False, (), [])

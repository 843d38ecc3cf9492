"""What every stage that turns sound into words or words into sound must do, whichever of the two it is."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest

from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, StreamError, VoxdError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import PipelineStage, StageKind

WAIT_S = 5.0
"""Nothing in the contract takes this long; a test that waits for more fails here instead of hanging."""

NO_RETRIES = 0


class StageContract:
    """Give the fixtures; a vendor works only while `make`'s fake runs. `use` has him do his work once."""

    does: ClassVar[StageKind]

    @pytest.fixture
    def make(self) -> Callable[[], Any]:
        """Returns new stages whose vendor is reached with a key that is right."""
        raise NotImplementedError

    @pytest.fixture
    def make_refused(self) -> Callable[[], Any] | None:
        """Returns new stages whose key the vendor does not accept; None where he has none."""
        raise NotImplementedError

    @pytest.fixture
    def make_garbled(self) -> Callable[[], Any]:
        """Returns new stages whose vendor answers with garbage."""
        raise NotImplementedError

    @pytest.fixture
    def make_silent(self) -> Callable[[], Any]:
        """Returns new stages whose vendor takes everything and never answers."""
        raise NotImplementedError

    @pytest.fixture
    def make_unreachable(self) -> Callable[[], Any]:
        """Returns new stages whose endpoint nobody listens at."""
        raise NotImplementedError

    @pytest.fixture
    def secret(self) -> str:
        """The key of `make`, "" where the vendor has none."""
        raise NotImplementedError

    @pytest.fixture
    async def stage(self, make: Callable[[], Any]) -> AsyncIterator[Any]:
        stage = make()
        yield stage
        await stage.close()

    async def use(self, stage: Any, budget: Budget | None = None) -> None:
        """Have ``stage`` do its work once, to the end."""
        raise NotImplementedError

    def betrays(self, told: str) -> bool:
        """Whether ``told`` holds a word of what `use` says."""
        raise NotImplementedError

    async def nobody_served(self) -> None:
        """Wait until the fake of `make` serves nobody any more."""
        raise NotImplementedError

    def test_it_says_what_it_is(self, make: Callable[[], Any]) -> None:
        stage = make()
        assert stage.stage is self.does
        assert stage.name

    async def test_it_begins_early_without_complaint(self, stage: Any) -> None:
        stage.prepare()
        stage.prepare()
        await self.use(stage)

    async def test_one_that_was_never_used_can_be_closed_twice(self, make: Callable[[], Any]) -> None:
        stage = make()
        await stage.close()
        await stage.close()

    async def test_a_wrong_key_is_told_as_such(self, make_refused: Callable[[], Any] | None) -> None:
        if make_refused is None:
            pytest.skip("this vendor has no keys")
        stage = make_refused()
        for ask in (self.use, checked):
            with pytest.raises(AuthenticationError) as raised:
                await ask(stage)
            assert not raised.value.retryable
            assert raised.value.provider == stage.name
        await stage.close()

    async def test_garbage_is_told_as_such(self, make_garbled: Callable[[], Any]) -> None:
        stage = make_garbled()
        with pytest.raises(StreamError) as raised:
            await self.use(stage)
        assert raised.value.provider == stage.name
        await stage.close()

    async def test_nobody_there_is_told_as_such(self, make_unreachable: Callable[[], Any]) -> None:
        stage = make_unreachable()
        for ask in (self.use, checked):
            with pytest.raises(ConnectionFailed) as raised:
                await ask(stage)
            assert raised.value.provider == stage.name
        await stage.close()

    async def test_a_vendor_who_says_nothing_is_not_waited_for(self, make_silent: Callable[[], Any]) -> None:
        stage = make_silent()
        until_s = asyncio.get_running_loop().time() + 0.3
        with pytest.raises(VoxdError) as raised:
            await self.use(stage, Budget(until_s=until_s, retries=NO_RETRIES))
        assert raised.value.code == "timeout"
        assert raised.value.retryable
        await stage.close()

    async def test_the_check_reports_whether_the_vendor_is_usable(self, stage: Any) -> None:
        await checked(stage)

    async def test_neither_words_nor_keys_are_logged(
        self,
        make: Callable[[], Any],
        make_garbled: Callable[[], Any],
        secret: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        good = make()
        await self.use(good)
        bad = make_garbled()
        with pytest.raises(ProviderError) as raised:
            await self.use(bad)
        await good.close()
        await bad.close()
        # The fakes log what they do too; what matters is what we say.
        ours = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith("voxd"))
        told = f"{ours}\n{raised.value}\n{good!r}"
        assert not self.betrays(told)
        assert not secret or secret not in told


async def checked(stage: PipelineStage) -> None:
    """Ask whether the vendor can be asked, once."""
    await stage.check(Budget(retries=NO_RETRIES))

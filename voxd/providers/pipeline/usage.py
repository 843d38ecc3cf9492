"""What the stages of a session used and what that costs: told of every request, and summed."""

import msgspec

from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.costs import cost_of_stage
from voxd.providers.pipeline.stages.contract import PipelineStage
from voxd.providers.usage import Cost, Usage, add_costs


class PipelineUsage:
    """The account of one session."""

    def __init__(self, emit: Emit) -> None:
        self.usage = Usage()
        self.response = Usage()
        """Since `begin`."""
        self._emit = emit
        self._cost: Cost | None = None
        self._is_complete = True

    @property
    def cost(self) -> Cost | None:
        """What it costs: None when no price is known, ``prices_of`` "" when only some are."""
        if self._cost is None or self._is_complete:
            return self._cost
        return msgspec.structs.replace(self._cost, prices_of="")

    def begin(self) -> None:
        """Another response begins."""
        self.response = Usage()

    def used(self, stage: PipelineStage, usage: Usage) -> None:
        """One request of ``stage`` used ``usage``; nothing where that is nothing."""
        if usage == Usage():
            return
        self.count(usage)
        cost = cost_of_stage(stage.config.kind, stage.model, usage)
        if cost is None:
            self._is_complete = False
        else:
            self._cost = add_costs(self._cost, cost)
        self._emit(
            E.PROVIDER_USED,
            provider=stage.name,
            stage=str(stage.stage),
            key=stage.key,
            usage=usage,
            cost_usd=None if cost is None else cost.total,
        )

    def count(self, usage: Usage) -> None:
        """Add what nobody bills."""
        self.usage += usage
        self.response += usage

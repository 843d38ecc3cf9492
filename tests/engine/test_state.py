"""The state of an engine as a table."""

import pytest

from voxd.engine.state import EngineState, state_of

ON = True


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, EngineState.DISCONNECTED),
        ({"listening": ON}, EngineState.DISCONNECTED),
        ({"connecting": ON}, EngineState.CONNECTING),
        ({"connected": ON}, EngineState.CONNECTED),
        ({"connected": ON, "listening": ON}, EngineState.LISTENING),
        ({"connected": ON, "responding": ON}, EngineState.RESPONDING),
        ({"connected": ON, "responding": ON, "listening": ON}, EngineState.RESPONDING),
    ],
)
def test_the_state_says_what_matters_most(facts: dict[str, bool], state: EngineState) -> None:
    nothing = dict.fromkeys(("connecting", "connected", "responding", "listening"), False)
    assert state_of(**{**nothing, **facts}) is state

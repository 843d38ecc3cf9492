"""What is said when nothing can be answered, by the reason."""

import pytest

from voxd.net import faults
from voxd.providers.routing.announcements import REASONS
from voxd.providers.routing.health import NEUTRAL_CODES
from voxd.turn.spoken_errors import SPOKEN_ERRORS, UNKNOWN_REASON, spoken_error


@pytest.mark.parametrize("close_code", sorted(faults._CLOSE_CODES))
def test_every_close_by_a_vendor_gives_the_user_a_reason(close_code: int) -> None:
    error = faults.error_for_close("cloud", faults.close_reason(close_code, ""))
    assert spoken_error(error.code) != UNKNOWN_REASON


@pytest.mark.parametrize("code", sorted(faults._PERMANENT))
def test_what_only_a_person_can_mend_has_words_of_its_own(code: str) -> None:
    assert spoken_error(faults.error_for_code("cloud", code, None).code) not in {
        UNKNOWN_REASON,
        SPOKEN_ERRORS["provider_unavailable"],
    }


def test_an_unknown_reason_is_not_explained() -> None:
    assert spoken_error("something_new") == UNKNOWN_REASON


def test_every_sentence_ends() -> None:
    assert all(sentence.endswith(".") for sentence in [*SPOKEN_ERRORS.values(), UNKNOWN_REASON])


@pytest.mark.parametrize("code", sorted({*REASONS, *NEUTRAL_CODES}))
def test_whatever_keeps_a_provider_from_answering_has_words(code: str) -> None:
    assert spoken_error(code) != UNKNOWN_REASON

"""Every status that an archive can answer with."""

from __future__ import annotations

from runtime.dicom.status import Disposition, meaning

SUCCESS_AND_WARNINGS = {0x0000, 0x0001, 0x0107, 0x0111} | set(range(0xB000, 0xC000))
REJECTED_ALREADY = {0xA770, 0xA774}
"""dcm4chee-arc's own words within "out of resources": what was to be rejected is."""


def test_only_success_and_warnings_count_as_stored() -> None:
    stored = {status for status in range(0x10000) if meaning(status).answer is Disposition.STORED}
    assert stored == SUCCESS_AND_WARNINGS | REJECTED_ALREADY


def test_out_of_resources_is_tried_again_and_what_is_not_understood_is_held() -> None:
    of_dcm4chee = set(range(0xA770, 0xA77A))
    assert {meaning(status).answer for status in set(range(0xA700, 0xA800)) - of_dcm4chee} == {Disposition.LATER}
    assert Disposition.LATER not in {meaning(status).answer for status in of_dcm4chee}
    assert {meaning(status).answer for status in range(0xA900, 0xAA00)} == {Disposition.REFUSED}
    assert {meaning(status).answer for status in range(0xC000, 0xD000)} == {Disposition.REFUSED}


def test_every_status_but_success_is_told_with_its_number() -> None:
    assert meaning(0).text == ""
    assert all(f"({status:04X}h)" in meaning(status).text for status in range(1, 0x10000))

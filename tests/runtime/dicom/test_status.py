"""Every status that an archive can answer with."""

from __future__ import annotations

from runtime.dicom.status import Answer, meaning

SUCCESS_AND_WARNINGS = {0x0000, 0x0001, 0x0107, 0x0111} | set(range(0xB000, 0xC000))


def test_only_success_and_warnings_count_as_stored() -> None:
    stored = {status for status in range(0x10000) if meaning(status).answer is Answer.STORED}
    assert stored == SUCCESS_AND_WARNINGS


def test_out_of_resources_is_tried_again_and_what_is_not_understood_is_held() -> None:
    assert {meaning(status).answer for status in range(0xA700, 0xA800)} == {Answer.LATER}
    assert {meaning(status).answer for status in range(0xA900, 0xAA00)} == {Answer.REFUSED}
    assert {meaning(status).answer for status in range(0xC000, 0xD000)} == {Answer.REFUSED}


def test_every_status_but_success_is_told_with_its_number() -> None:
    assert meaning(0).text == ""
    assert all(f"({status:04X}h)" in meaning(status).text for status in range(1, 0x10000))

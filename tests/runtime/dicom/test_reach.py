"""An archive is looked at before an exam waits for it: reached or not, and what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pynetdicom.ae import ApplicationEntity

from runtime.dicom.errors import ArchiveUnreachable
from runtime.dicom.reach import classes_refused
from runtime.dicom.store import SOP_CLASSES
from tests.ports import free_port
from tests.runtime.dicom.test_answers import ScriptedArchive, scripted


def test_an_archive_that_takes_everything(tmp_path: Path) -> None:
    with ScriptedArchive().listening() as port:
        where = scripted(tmp_path, port)
        assert where.archive is not None
        assert classes_refused(where, where.archive) == ()


@pytest.mark.parametrize("takes", range(1, len(SOP_CLASSES)))
def test_kinds_that_it_does_not_take_are_named(tmp_path: Path, takes: int) -> None:
    entity = ApplicationEntity(ae_title="SCRIPTED")
    for name in SOP_CLASSES[:takes]:
        entity.add_supported_context(name)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        where = scripted(tmp_path, server.server_address[1])
        assert where.archive is not None
        found = classes_refused(where, where.archive)
    finally:
        server.shutdown()
    assert len(found) == len(SOP_CLASSES) - takes
    assert all(name.endswith("Storage") for name in found)


def test_nobody_there_is_said(tmp_path: Path) -> None:
    where = scripted(tmp_path, free_port())
    assert where.archive is not None
    with pytest.raises(ArchiveUnreachable):
        classes_refused(where, where.archive)

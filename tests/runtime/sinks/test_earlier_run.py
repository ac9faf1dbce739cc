from __future__ import annotations

from pathlib import Path

from runtime.sinks.earlier_run import clear_earlier_run
from runtime.sinks.jsonl import JsonLinesSink
from tests.runtime.sinks.readings import make_reading


def test_only_what_the_earlier_run_wrote_is_removed(tmp_path: Path) -> None:
    readings, overlays, page = tmp_path / "readings.jsonl", tmp_path / "overlays", tmp_path / "summary.html"
    sink = JsonLinesSink(readings)
    for i, source in enumerate(["a.jpg", "a.png", "sim:2"]):
        sink.write(None, make_reading(source, i))
    sink.close()
    with readings.open("a") as file:
        file.write('not json\n{"frame": 3}\n{"frame": {"source": ["x"], "sequence": 1}}\n[]\n')
    overlays.mkdir()
    for name in ("a.jpg", "a.png.jpg", "sim_2.jpg", "mine.jpg"):
        (overlays / name).touch()
    page.touch()
    clear_earlier_run(readings, {overlays: ".jpg", tmp_path / "vessels": ".png"}, [page])
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["mine.jpg", "overlays", "readings.jsonl"]


def test_nothing_there_is_fine(tmp_path: Path) -> None:
    clear_earlier_run(tmp_path / "readings.jsonl", {tmp_path / "overlays": ".jpg"}, [tmp_path / "summary.html"])

"""On a Ray cluster: the same bytes as on one machine, whoever dies. Clusters take long to begin, so most is soak."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest

from runtime.reread.__main__ import main
from runtime.reread.cluster import RayPool, _connect, _Reader, _why
from runtime.reread.drive import HUNG, Batch, drive
from runtime.reread.errors import RereadError
from runtime.reread.reader import FRAME_LIMIT_S, ReaderFacts, ReaderSettings, require_same
from runtime.reread.row import RereadResult
from tests.device.light.waiting import wait_until
from tests.pictures import retina
from tests.runtime.reread.making import stored

FACTS = ReaderFacts("b" * 64, "", "1", "openvino", "fp32", "cpu", 0.5, "amx", "2026.4")


def test_readers_that_are_not_alike_are_named() -> None:
    require_same(FACTS, FACTS)
    other = replace(FACTS, site_profile_sha256="c" * 64, cpu_class="vnni", openvino="2025.3")
    words = rf"site_profile_sha256 {'c' * 64} and none, cpu_class vnni and amx, openvino 2025.3 and 2026.4"
    with pytest.raises(RereadError, match=words):
        require_same(FACTS, other)


def test_an_error_of_a_page_is_one_line() -> None:
    assert _why(RuntimeError("page\n  of\n\nthe cause\n")) == "the cause"
    assert _why(RuntimeError()) == "RuntimeError"


def test_without_ray_the_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    assert main([str(tmp_path), "--ray", "--out", str(tmp_path / "t.csv")]) == 2
    assert "ray is not installed here; install it: pip install" in capsys.readouterr().err


@pytest.mark.parametrize("silent_s", [0.0, FRAME_LIMIT_S])
def test_an_actor_that_ended_after_its_limit_hung_and_what_waited_behind_it_did_not(
    silent_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ActorDied(Exception):
        pass

    def get(_: object) -> None:
        raise ActorDied("gone")

    now = [100.0]
    monkeypatch.setattr("runtime.reread.cluster.time.monotonic", lambda: now[0])
    names = SimpleNamespace(RayActorError=ActorDied, RayError=ActorDied)
    pool = RayPool.__new__(RayPool)
    pool._ray = SimpleNamespace(wait=lambda waiting, **_: (waiting[:1], []), get=get, exceptions=names)
    reading = iter(["first", "second"])
    actor = SimpleNamespace(read=SimpleNamespace(remote=lambda _: next(reading)))
    pool._readers, pool._under_way, pool._bytes = [_Reader(actor)], {}, 0
    monkeypatch.setattr(pool, "_replace", lambda _: None)
    first, second = Batch((stored(1),)), Batch((stored(2),))
    pool.give(first)
    pool.give(second)
    now[0] += silent_s
    (one,) = pool.wait()
    (two,) = pool.wait()
    hung = silent_s > 0
    assert (one.batch, one.hung, one.why) == (first, hung, HUNG if hung else "gone")
    assert (two.batch, two.hung, two.why) == (second, False, "gone")


def test_while_a_cluster_is_waited_for_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []

    def init(**_: object) -> None:
        assert wait_until(lambda: bool(said))
        raise ConnectionError("the head is gone")

    monkeypatch.setattr("runtime.reread.cluster.TELL_S", 0.01)
    monkeypatch.setattr("runtime.reread.cluster.say", lambda line, **_: said.append(line))
    with pytest.raises(RereadError, match=r"^--ray 10\.0\.0\.1:6379: cannot be joined: .*the head is gone"):
        _connect(SimpleNamespace(is_initialized=lambda: False, init=init), "10.0.0.1:6379")
    assert said[0].startswith("--ray 10.0.0.1:6379: not joined after 0 s; Ray's own logs are in")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes in processes of this machine; the second one is there to be lost."""
    pytest.importorskip("ray", reason="Ray (extra fleet) is not installed")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
    made = importlib.import_module("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield made
    made.shutdown()


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.png"), retina(number)[..., ::-1])
    return folder


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
def test_the_same_bytes_as_on_one_machine(tmp_path: Path, cluster: Any) -> None:
    source = pictures(tmp_path / "in", 70)
    assert main([str(source), "--workers", "2", "--out", str(tmp_path / "one.csv")]) == 0
    call = [str(source), "--workers", "2", "--out", str(tmp_path / "ray.csv"), "--ray", cluster.address]
    assert main(call) == 0
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
def test_an_actor_and_a_node_that_are_lost_lose_nothing(cluster: Any) -> None:
    second = cluster.add_node(num_cpus=1)
    kept: list[RereadResult] = []
    with RayPool(ReaderSettings(None), cluster.address, 2) as pool:
        import ray

        first = pool._readers[0].actor
        give = pool.give
        given = 0

        def give_and_kill(batch: Batch) -> None:
            nonlocal given
            give(batch)
            given += 1
            if given == 3:
                ray.kill(first)
            if given == 8:
                cluster.remove_node(second, allow_graceful=False)

        pool.give = give_and_kill  # type: ignore[method-assign]
        drive(map(stored, range(600)), pool, kept.extend, lambda: False)
    assert given > 8
    assert sorted(one.order for one in kept) == [(0, n) for n in range(600)]
    assert {one.row.new_reason for one in kept} == {"the camera gave no frame"}

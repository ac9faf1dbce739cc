"""Who may read a site's frames beside the cart, and what reads when the server cannot: the profile says it, for all."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.frame import Frame
from runtime import engines
from runtime.bundle import Bundle
from runtime.daemon.model import open_model
from runtime.engines.base import Backend, Engine
from runtime.engines.triton.fake import FakeServer, ServerFault
from runtime.errors import EngineAway, EngineError
from runtime.exam.commands.common import open_screener
from runtime.outcome import Outcome
from runtime.preprocess import network_input
from runtime.read_here import ALLOWED, REST_S
from runtime.screen.__main__ import main as screen
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.errors import SiteError
from runtime.trust.guard import Guard
from runtime.trust.selftest import SelfTest, ask
from runtime.trust.site import MANIFEST_SIGNATURE, Site, open_site
from tests.pictures import retina
from tests.runtime.trust.conftest import (  # noqa: F401 (fixtures)
    _nothing_configured,
    key,
    keys,
    sign,
    without_draws,
    write_profile,
)
from tests.runtime.trust.test_guard import SeeingEngine, equip_with_a_positive

pytestmark = pytest.mark.usefixtures("without_draws")
Write = Callable[..., Path]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> SeeingEngine:
    """The cart's own engine, which `auto` takes."""
    engine = SeeingEngine()
    monkeypatch.setattr(engines, "_registered", {"own": Backend(lambda *_: engine, auto=True)})
    return engine


@pytest.fixture
def signed(write_bundle: Write, key: Ed25519PrivateKey) -> Bundle:  # noqa: F811
    bundle = equip_with_a_positive(write_bundle())
    sign(bundle.path / "manifest.json", bundle.path / MANIFEST_SIGNATURE, key)
    return bundle


@pytest.fixture
def server(signed: Bundle) -> Iterator[FakeServer]:
    with FakeServer(signed, SeeingEngine()) as started:
        yield started


@pytest.fixture
def allow(write_profile: Write, server: FakeServer) -> Callable[..., Path]:  # noqa: F811
    """A signed profile that names the server; keyword arguments change what it says of servers."""

    def write(**changes: object) -> Path:
        servers = {"addresses": [f"127.0.0.1:{server.port}"], "encrypted": False, "read_here": True}
        return write_profile(servers={**servers, **changes})

    return write


def frames() -> Iterator[Frame]:
    return (Frame(retina(seed), sequence=seed, source=f"{seed}.png") for seed in range(100))


def test_a_site_whose_profile_names_no_server_lets_none_read(
    signed: Bundle,
    server: FakeServer,
    keys: Path,  # noqa: F811
    write_profile: Write,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = write_profile()
    for site in (open_site(trusted_keys=keys), open_site(profile, keys)):
        with pytest.raises(SiteError, match="names none to read its frames"):
            screener_for(site, signed, engine=server.address)
        with pytest.raises(SiteError, match="names none to read its frames"):
            Screener(signed, engine=server.address, trust=Guard(signed, site))
    cv2.imwrite(str(tmp_path / "eye.png"), retina())
    words = [str(tmp_path / "eye.png"), "--out", str(tmp_path / "out"), "--bundle", str(signed.path)]
    code = screen([*words, "--engine", server.address, "--site-profile", str(profile), "--trusted-keys", str(keys)])
    assert code == 2
    assert "names none to read its frames" in capsys.readouterr().err
    assert server.frames == 0


def test_a_cart_that_nobody_configured_may_try_any_server(signed: Bundle, server: FakeServer) -> None:
    with screener_for(Site(), signed, engine=server.address) as screener:
        assert screener.screen(next(frames())).outcome is Outcome.NO_REFERRAL_FINDINGS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"addresses": ["elsewhere:8001"]}, "names elsewhere:8001 to read its frames"),
        ({"encrypted": True}, "wants it encrypted; add .ca=FILE"),
    ],
)
def test_the_profile_says_which_server_and_how(
    signed: Bundle,
    server: FakeServer,
    allow: Write,
    keys: Path,  # noqa: F811
    changes: dict[str, object],
    words: str,
) -> None:
    with pytest.raises(SiteError, match=words):
        screener_for(open_site(allow(**changes), keys), signed, engine=server.address)


@pytest.mark.parametrize(
    "spoilt", [{"addresses": []}, {"read_here": "perhaps"}, {"adress": "a:1"}], ids=["none", "word", "spelling"]
)
def test_a_profile_is_strict_about_servers(allow: Write, keys: Path, spoilt: dict[str, object]) -> None:  # noqa: F811
    with pytest.raises(SiteError, match="servers"):
        open_site(allow(**spoilt), keys)


def opened_by_screen(bundle: Bundle, address: str, profile: Path, keys: Path) -> Screener:  # noqa: F811
    return screener_for(open_site(profile, keys), bundle, engine=address, reject_repeats=False)


def opened_by_the_daemon(bundle: Bundle, address: str, profile: Path, keys: Path) -> Screener:  # noqa: F811
    return open_model(bundle.path, profile, keys, "", address, "auto", None, None).screener


def opened_by_exam(bundle: Bundle, address: str, profile: Path, keys: Path) -> Screener:  # noqa: F811
    options = Namespace(site_profile=profile, trusted_keys=keys, station="", engine=address, precision="auto")
    return open_screener(options, bundle, live=False)


@pytest.mark.parametrize("opened", [opened_by_screen, opened_by_the_daemon, opened_by_exam])
@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_a_lost_servers_frames_are_read_here_only_where_the_profile_allows_it(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
    opened: Callable[..., Screener],
    allowed: bool,
) -> None:
    pictures = frames()
    with opened(signed, server.address, allow(read_here=allowed), keys) as screener:
        first = screener.screen(next(pictures))
        assert (first.outcome, first.engine.backend) == (Outcome.NO_REFERRAL_FINDINGS, "triton")
        server.stop()
        lost = [screener.screen(next(pictures)) for _ in range(2)]
    if not allowed:
        assert {reading.outcome for reading in lost} == {Outcome.NO_RESULT}
        assert all("cannot be asked" in reading.reason for reading in lost)
        assert own.frames == 0
        return
    assert {reading.outcome for reading in lost} == {Outcome.NO_REFERRAL_FINDINGS}
    for reading in lost:
        told = json.loads(reading.to_json())["engine"]
        assert told["backend"] == "fake"
        assert "cannot be asked" in told["why"]
        assert ALLOWED in told["why"]


def test_after_a_rest_the_server_is_tested_and_reads_again(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("runtime.read_here.time.monotonic", lambda: now[0])
    pictures = frames()
    with screener_for(open_site(allow(), keys), signed, engine=server.address) as screener:
        server.fault = ServerFault.SHORT
        assert screener.screen(next(pictures)).engine.backend == "fake"
        server.fault, asked = None, server.frames
        assert screener.screen(next(pictures)).engine.backend == "fake"
        assert server.frames == asked, "it rests"
        for _ in range(20):  # the server is looked for no more than five times in a second
            now[0] += REST_S + 1
            if screener.screen(next(pictures)).engine.backend == "triton":
                break
        else:
            pytest.fail("the server was not taken back")
        server.delay_ms = 2000
        from runtime.budget import Deadline

        late = screener.screen(next(pictures), Deadline.after_ms(300))
        assert (late.outcome, late.late) == (Outcome.NO_RESULT, True)
        assert screener.screen(next(pictures)).engine.backend == "fake"


def test_an_engine_here_that_fails_its_self_test_reads_nothing(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
) -> None:
    own.ridge = (0.9, 0.1)
    with pytest.raises(EngineError, match="self-test failed"):
        screener_for(open_site(allow(), keys), signed, engine=server.address)
    assert own.closed


def test_a_server_that_answers_wrongly_reads_nothing_and_nobody_in_its_place(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
) -> None:
    """A server that is there and wrong is no server that is lost."""
    with screener_for(open_site(allow(), keys), signed, engine=server.address) as screener:
        server.fault = ServerFault.SWAPPED
        assert "self-test failed" in screener.self_test()
        assert screener.screen(next(frames())).outcome is Outcome.NO_RESULT


def test_without_a_server_at_the_start_the_cart_reads_where_it_may(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
) -> None:
    server.stop()
    with screener_for(open_site(allow(), keys), signed, engine=server.address) as screener:
        reading = screener.screen(next(frames()))
    assert reading.outcome is Outcome.NO_REFERRAL_FINDINGS
    assert "cannot be asked" in reading.engine.why
    assert "until this program is started again" in reading.engine.why
    with pytest.raises(EngineAway):
        screener_for(open_site(allow(read_here=False), keys), signed, engine=server.address)


def fail_from_the_self_test_on(server: FakeServer, fault: ServerFault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begins after the engine is loaded, which asks one frame itself."""
    test = SelfTest.run

    def run(self: SelfTest, engine: Engine) -> str:
        if not isinstance(engine, SeeingEngine):
            server.fault = fault
        return test(self, engine)

    monkeypatch.setattr(SelfTest, "run", run)


@pytest.mark.parametrize("known", [False, True], ids=["at once", "after the known frames"])
@pytest.mark.parametrize("fault", [ServerFault.GONE, ServerFault.FULL])
def test_a_server_that_is_lost_in_its_self_test_is_as_one_that_is_away_at_the_start(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
    fault: ServerFault,
    known: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def drawn(_: Bundle, engine: Engine) -> str:
        if not isinstance(engine, SeeingEngine):
            server.fault = fault
            ask(engine, network_input(retina()))
        return ""

    if known:
        monkeypatch.setattr("runtime.trust.guard.drawn_problem", drawn)
    else:
        fail_from_the_self_test_on(server, fault, monkeypatch)
    with screener_for(open_site(allow(), keys), signed, engine=server.address) as screener:
        assert screener.problem == ""
        reading = screener.screen(next(frames()))
        asked = server.frames
        screener.screen(Frame(retina(7), sequence=7, source="7.png"))
    assert (reading.outcome, reading.engine.backend) == (Outcome.NO_REFERRAL_FINDINGS, "fake")
    assert "was lost while it was tested" in reading.engine.why
    assert f"{ALLOWED}, until this program is started again" in reading.engine.why
    assert server.frames == asked, "it is left alone"
    server.fault = None
    with pytest.raises(EngineAway, match="was lost while it was tested"):
        screener_for(open_site(allow(read_here=False), keys), signed, engine=server.address)


WRONG = [one for one in ServerFault if one not in (ServerFault.GONE, ServerFault.FULL)]


@pytest.mark.parametrize("fault", WRONG)
def test_a_server_whose_answers_in_the_self_test_are_wrong_is_refused_and_nobody_reads_in_its_place(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
    fault: ServerFault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_from_the_self_test_on(server, fault, monkeypatch)
    try:
        screener = screener_for(open_site(allow(), keys), signed, engine=server.address)
    except EngineError as error:
        assert not isinstance(error, EngineAway)  # noqa: PT017 (some are told at once)
        return
    with screener:
        assert "self-test failed" in screener.problem, screener.facts.why
        assert screener.screen(next(frames())).outcome is Outcome.NO_RESULT


def test_an_engine_here_is_held_to_the_threshold_that_is_in_force(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
) -> None:
    """An exam's own threshold, which the known positive does not reach, and not the bundle's."""
    site = open_site(allow(), keys)
    with pytest.raises(EngineError, match="no server may be read by without an engine behind it"):
        screener_for(site, signed, engine=server.address, threshold=0.95)
    assert own.closed


def test_a_server_without_the_model_is_refused_and_the_engine_here_given_back(
    signed: Bundle,
    server: FakeServer,
    own: SeeingEngine,
    allow: Write,
    keys: Path,  # noqa: F811
) -> None:
    with pytest.raises(EngineError):
        screener_for(open_site(allow(), keys), signed, engine=server.address.rstrip("/") + "/no-such-model")
    assert own.closed

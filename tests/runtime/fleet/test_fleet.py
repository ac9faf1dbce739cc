"""Push, pull in waves, report, status: by files and over HTTPS, with bad inputs each in one line."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.signature import signature_line
from runtime.bundles.actions import Means, activate, install, rollback
from runtime.bundles.left import left_bundles
from runtime.bundles.trial import Compared, Trial, TrialRequest
from runtime.errors import OutputError
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.fleet.__main__ import main
from runtime.fleet.arguments import parse
from runtime.fleet.errors import FleetError
from runtime.fleet.fetch import PackageSource
from runtime.fleet.pull import pull
from runtime.fleet.push import push
from runtime.fleet.release import BundleInUse, Wave, place_of
from runtime.fleet.report import ENDING, CartReport, make_report, write_report
from runtime.fleet.status import page, read_fleet, table
from runtime.sinks.files import own_folder
from runtime.slots import installed, read_active
from runtime.trust.keys import read_trusted_keys
from tests.runtime.bundles.making import (
    KEY,
    STRANGER,
    bundle_folder,
    called,
    keys_folder,
    private_pem,
    run,
    sha256_of,
)

Trials = Callable[[Trial], list[TrialRequest]]
NOW = datetime.now(timezone.utc)
ALL = (Wave(percent=100, begins=NOW - timedelta(days=1)),)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "shelf"


def test_carts_follow_the_steps(
    means: Means, tmp_path: Path, shelf: Path, one: Path, two: Path, trials: Trials
) -> None:
    """What may follow what: the second only after the first, the third after the second."""
    three = bundle_folder(tmp_path / "three", version="3", issue=3)
    push(one, shelf, KEY, follows=None, waves=ALL)
    push(two, shelf, KEY, follows=[sha256_of(one)], waves=ALL)
    push(three, shelf, KEY, follows=[sha256_of(two)], waves=ALL)
    seen = []
    for _ in range(4):
        found = pull(means, PackageSource(str(shelf)))
        state = read_active(means.folder)
        assert state is not None
        seen.append((found.result, state.active))
    steps = [sha256_of(folder) for folder in (one, two, three)]
    assert seen == [*(("activated", sha256) for sha256 in steps), ("nothing", steps[-1])]
    assert not (means.folder / ".pulling").exists()


def test_a_wave_that_would_change_nothing_is_refused(
    one: Path, shelf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = private_pem(tmp_path / "site.pem")
    call = ["push", str(one), "--key", str(key), "--out", str(shelf), "--follows", "any"]
    assert main([*call, "--wave", "20:2030-12-09", "--wave", "50:2030-12-05"]) == 2
    assert "--wave 20: begins after 50" in capsys.readouterr().err
    assert not shelf.exists()
    assert main([*call, "--wave", "50:2030-12-09", "--wave", "20:2030-12-05"]) == 0


def test_two_pushes_at_once_are_refused(one: Path, shelf: Path) -> None:
    with own_folder(shelf):
        with pytest.raises(OutputError, match="another run writes its results there"):
            push(one, shelf, KEY, follows=None, waves=(Wave(percent=100, begins=NOW),))
        assert [*shelf.iterdir()] == []
    assert push(one, shelf, KEY, follows=None, waves=(Wave(percent=100, begins=NOW),)).issue == 1


def test_waves_by_station(one: Path, shelf: Path) -> None:
    tomorrow = NOW + timedelta(days=1)
    waves = (Wave(percent=10, begins=NOW - timedelta(hours=1)), Wave(percent=100, begins=tomorrow))
    release = push(one, shelf, KEY, follows=None, waves=waves)
    stations = [f"cart-{number}" for number in range(4000)]
    early = {station for station in stations if release.next_for(station, None, NOW)}
    assert 0.07 < len(early) / len(stations) < 0.13
    assert all(release.next_for(station, None, tomorrow) for station in stations)
    other = {station for station in stations if place_of(station, "0" * 64) < 10}
    assert len(early & other) < 0.3 * len(early)  # nobody is always first


def test_a_cart_that_takes_nothing_says_from_when_and_what_else_keeps_it(
    means: Means, shelf: Path, tmp_path: Path, one: Path, two: Path, trials: Trials
) -> None:
    tomorrow = NOW + timedelta(days=1)
    named = {folder: f"{sha256_of(folder)[:12]}" for folder in (one, two)}
    push(one, shelf, KEY, follows=None, waves=(Wave(percent=100, begins=tomorrow),))
    found = pull(means, PackageSource(str(shelf)), now=NOW)
    assert found.result == "nothing"
    assert found.words == (
        f"nothing for this cart now: test 1 ({named[one]}) is for this cart from {tomorrow.isoformat()}"
    )
    assert pull(means, PackageSource(str(shelf)), now=tomorrow).result == "activated"
    push(two, shelf, KEY, follows=["e" * 64], waves=ALL)
    words = pull(means, PackageSource(str(shelf)), now=tomorrow).words
    assert f"test 2 ({named[two]}) follows eeeeeeeeeeee, in use is {named[one]}" in words
    assert f"test 1 ({named[one]}) is in use" in words


def test_what_keeps_a_package_back(one: Path, shelf: Path) -> None:
    release = push(one, shelf, KEY, follows=None, waves=(Wave(percent=1e-9, begins=NOW - timedelta(hours=1)),))
    (package,) = release.packages
    other = BundleInUse("f" * 64, package.name, package.issue + 1)
    assert release.kept_back(package, "cart", None, NOW) == "is for other carts, by its waves"
    assert release.kept_back(package, "cart", other, NOW) == "has number 1, the one in use has 2"
    left = release.kept_back(package, "cart", None, NOW, [package.bundle_sha256])
    assert left.startswith("is one that this cart left")


def test_a_cart_that_went_back_does_not_take_it_again(
    means: Means, shelf: Path, one: Path, two: Path, trials: Trials
) -> None:
    push(one, shelf, KEY, follows=None, waves=ALL)
    pull(means, PackageSource(str(shelf)))
    push(two, shelf, KEY, follows=None, waves=ALL)
    assert pull(means, PackageSource(str(shelf))).result == "activated"
    rollback(means)
    assert pull(means, PackageSource(str(shelf))).result == "nothing"


def test_a_cart_that_went_back_twice_takes_neither_again(
    means: Means, shelf: Path, one: Path, two: Path, tmp_path: Path, trials: Trials
) -> None:
    """Of one name an older number is refused anyway; by other names the two were taken in turns without end."""
    other = bundle_folder(tmp_path / "other", name="other", version="1", issue=9)
    push(one, shelf, KEY, follows=None, waves=ALL)
    pull(means, PackageSource(str(shelf)))
    for failing in (two, other):
        push(failing, shelf, KEY, follows=None, waves=ALL)
        assert pull(means, PackageSource(str(shelf))).bundle == sha256_of(failing)
        rollback(means)
        assert pull(means, PackageSource(str(shelf))).result == "nothing"
    means.slots.remove(sha256_of(other), previous_too=True)
    assert pull(means, PackageSource(str(shelf))).result == "nothing"
    activate(means, sha256_of(two))  # a person's word
    assert left_bundles(means.folder) == (sha256_of(other), sha256_of(one))


@pytest.mark.parametrize(
    "spoilt", [b"", b"{", b"[]", b'{"schema": "rop.left/2", "left": []}', b'{"schema": "rop.left/1"}']
)
def test_a_spoilt_list_of_left_bundles_stops_nothing(
    means: Means, shelf: Path, one: Path, two: Path, trials: Trials, spoilt: bytes
) -> None:
    push(one, shelf, KEY, follows=None, waves=ALL)
    pull(means, PackageSource(str(shelf)))
    push(two, shelf, KEY, follows=None, waves=ALL)
    (means.folder / "left.json").write_bytes(spoilt)
    assert pull(means, PackageSource(str(shelf))).result == "activated"
    rollback(means)
    assert left_bundles(means.folder) == (sha256_of(two),)


def test_a_trial_that_objects_leaves_the_cart_as_it_is(
    means: Means, shelf: Path, one: Path, two: Path, trials: Trials
) -> None:
    push(one, shelf, KEY, follows=None, waves=ALL)
    pull(means, PackageSource(str(shelf)))
    lost = Compared("OD", "nasal", "REFER", "NO_REFERRAL_FINDINGS", 1, 1)
    trials(Trial("", "passed", "engine", (lost,) * 30))
    push(two, shelf, KEY, follows=None, waves=ALL)
    found = pull(means, PackageSource(str(shelf)))
    assert (found.result, read_active(means.folder).active) == ("refused", sha256_of(one))  # type: ignore[union-attr]
    assert make_report(means).pulled.split(": ")[1] == "refused"


@pytest.mark.parametrize(
    ("done", "told"),
    [
        (lambda means, two: activate(means, two, why="by ida.miller on the cart"), "a person activated it"),
        (lambda means, two: activate(means, two, despite="Zoe Miller was read rightly"), "a person activated it"),
        (
            lambda means, two: activate(means, two) and rollback(means, "by ida.miller on the cart"),
            "a person went back",
        ),
    ],
    ids=["activated", "despite", "went back"],
)
def test_what_people_wrote_about_bundles_stays_on_the_cart(
    means: Means, one: Path, two: Path, trials: Trials, done: Callable[[Means, str], object], told: str
) -> None:
    install(means, one)
    install(means, two)
    activate(means, sha256_of(one), despite="as it is")
    done(means, sha256_of(two))
    found = make_report(means)
    assert found.why == told
    assert re.search("miller|zoe", found.model_dump_json().lower()) is None


def test_a_report_without_the_journals_key_says_so(
    means: Means, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROP_JOURNAL_KEY", raising=False)
    Journal.open(tmp_path / "exams", JournalKey.new(), create=True).close()
    found = make_report(replace(means, journal=tmp_path / "exams"))
    assert found.problems == ("the journal's key is missing or does not fit",)


BAD_SHELVES: dict[str, Callable[[Path], object]] = {
    "no release": lambda shelf: (shelf / "release.signed").unlink(),
    "altered release": lambda shelf: _edit(shelf / "release.signed", b'"issue":1', b'"issue":9'),
    "empty release": lambda shelf: (shelf / "release.signed").write_bytes(b""),
    "page in its place": lambda shelf: (shelf / "release.signed").write_bytes(b"<html>sign in</html>"),
    "huge release": lambda shelf: (shelf / "release.signed").write_bytes(bytes(2**21)),
    "no package": lambda shelf: next(shelf.glob("*.tar")).unlink(),
    "short package": lambda shelf: _cut(next(shelf.glob("*.tar"))),
    "long package": lambda shelf: _edit(next(shelf.glob("*.tar")), b"", b"x", count=1),
    "altered package": lambda shelf: _flip(next(shelf.glob("*.tar"))),
    "foreign release": lambda shelf: _foreign(shelf / "release.signed"),
    "no shelf": lambda shelf: shelf.rename(shelf.with_name("gone")),
}


def _edit(path: Path, old: bytes, new: bytes, count: int = -1) -> None:
    path.write_bytes(path.read_bytes().replace(old, new, count))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    body = path.read_bytes().partition(b"\n")[0] + b"\n"
    path.write_bytes(body + signature_line(body, STRANGER))


@pytest.mark.parametrize("what", BAD_SHELVES)
def test_a_bad_shelf_is_one_line_and_changes_nothing(
    means: Means, shelf: Path, one: Path, trials: Trials, what: str
) -> None:
    push(one, shelf, KEY, follows=None, waves=ALL)
    BAD_SHELVES[what](shelf)
    found = pull(means, PackageSource(str(shelf)))
    assert found.result == "failed"
    assert "\n" not in found.words
    assert (installed(means.folder), read_active(means.folder)) == ((), None)
    assert not (means.folder / ".pulling").exists()


def test_an_older_release_is_not_believed_again(
    means: Means, shelf: Path, one: Path, two: Path, trials: Trials
) -> None:
    push(one, shelf, KEY, follows=None, waves=ALL)
    old = (shelf / "release.signed").read_bytes()
    push(two, shelf, KEY, follows=None, waves=ALL)
    pull(means, PackageSource(str(shelf)))
    (shelf / "release.signed").write_bytes(old)
    found = pull(means, PackageSource(str(shelf)))
    assert found.result == "failed"
    assert "issue" in found.words


def test_what_is_not_pushed(tmp_path: Path, shelf: Path) -> None:
    for folder, words in (
        (bundle_folder(tmp_path / "u", sign=None, issue=1), "no signature"),
        (bundle_folder(tmp_path / "f", sign=STRANGER, issue=1), "trusted"),
        (bundle_folder(tmp_path / "n"), "issue number"),
    ):
        with pytest.raises(FleetError, match=words):
            push(folder, shelf, KEY, follows=None, waves=ALL)
    assert not (shelf / "release.signed").exists()


@pytest.mark.parametrize(
    "where", ["http://rop.example.org/x", "http://10.0.0.1", "ftp://rop.example.org/x", "s3://bucket/x", "https//x://y"]
)
def test_an_open_line_is_refused(where: str) -> None:
    with pytest.raises(FleetError, match="HTTPS"):
        PackageSource(where)


@pytest.mark.parametrize(
    "where",
    [
        "https://cart:s3cret@rop.example.org/x",
        "https://cart:s3@cret/s3cret@rop.example.org/x",
        "https://s3cret@rop.example.org/x",
        "ftp://cart:s3cret@rop.example.org/x",
        "https://rop.example.org/x?token=s3cret",
        "https://cart:s3cret@[rop/x",
        "https://rop.example.org/x#part",
        "https:///x",
    ],
)
def test_no_password_in_an_address_is_taken_or_told(
    where: str, means: Means, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address stands in messages, in the slots, in each report and in the service's unit."""
    given = [word for pair in GIVEN.items() for word in pair]
    for call in (["pull", where, *given], ["units", "--source", where, *given]):
        assert main(call) == 2
        said = "".join(capsys.readouterr())
        assert "s3cret" not in said
        assert said.count("\n") == 1
    assert not means.folder.exists()


@pytest.fixture
def served(shelf: Path) -> Iterator[str]:
    """The shelf by a web server of this machine."""
    shelf.mkdir()
    handler = functools.partial(_Quiet, directory=str(shelf))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        pass


def test_a_pull_from_a_web_server(means: Means, shelf: Path, served: str, one: Path, trials: Trials) -> None:
    assert "404" in pull(means, PackageSource(served)).words
    push(one, shelf, KEY, follows=None, waves=ALL)
    assert pull(means, PackageSource(served)).result == "activated"


def cart_report(station: str, **changes: object) -> CartReport:
    known = {"schema": "rop.cart-report/1", "station": station, "at": NOW, "software": "0", "bundles": ()}
    known |= {"drift": "steady", "outbox": None, "latency": None, "free_mib": 50_000}
    return CartReport.model_validate(known | changes)


def test_status_believes_each_cart_for_itself(tmp_path: Path, means: Means, one: Path, trials: Trials) -> None:
    folder, carts = tmp_path / "reports", tmp_path / "carts"
    keys = {f"cart-{number}": Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 9)}
    keys_folder(carts, **{name.replace("-", "_"): key for name, key in keys.items()})
    push(one, tmp_path / "shelf", KEY, follows=None, waves=ALL)
    pull(means, PackageSource(str(tmp_path / "shelf")))
    write_report(make_report(means), folder, keys["cart-1"])
    write_report(cart_report("cart-2", drift="score: distance 0.9, at most 0.2 by chance"), folder, keys["cart-2"])
    write_report(cart_report("cart-3", at=NOW - timedelta(days=3)), folder, keys["cart-3"])
    write_report(cart_report("cart-4"), folder, STRANGER)
    write_report(cart_report("cart-5"), folder, keys["cart-6"])
    write_report(cart_report("cart-7", at=NOW + timedelta(days=1)), folder, keys["cart-7"])
    (folder / f"cart-8{ENDING}").write_bytes(b"{}\n")
    (folder / f"cart-9{ENDING}").write_bytes((folder / f"cart-1{ENDING}").read_bytes())
    now = datetime.now(timezone.utc)  # not the module's: cart-1's report is of this moment
    fleet = read_fleet(folder, read_trusted_keys(carts), now, timedelta(hours=24), 1000)
    assert [row.report.station for row in fleet.rows] == ["cart-2", "cart-3", "cart-1"]
    assert [line.partition(ENDING)[0] for line in fleet.refused] == ["cart-4", "cart-5", "cart-7", "cart-8", "cart-9"]
    assert "3 cart(s), 2 to be looked at, 5 report(s) not believed" in table(fleet, now)
    shown = page(fleet, now)
    assert "cart-9.report" in shown
    assert "<script" not in page(
        read_fleet(_evil(folder, keys["cart-1"]), read_trusted_keys(carts), now, timedelta(1), 1), now
    )


def test_a_cart_that_never_reported_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its key alone; a folder without its report looked as if all were well."""
    carts, reports = tmp_path / "carts", tmp_path / "reports"
    keys_folder(carts, one=KEY, two=STRANGER)
    write_report(cart_report("one", bundles=ACTIVE), reports, KEY)
    call = ["status", str(reports), "--carts", str(carts)]
    assert main(call) == 1
    assert "never heard of: two" in capsys.readouterr().out
    assert main([*call, "--json", "--html", str(tmp_path / "carts.html")]) == 1
    assert "never heard of: two" in capsys.readouterr().err
    assert "never heard of: two" in (tmp_path / "carts.html").read_text()
    write_report(cart_report("two", bundles=ACTIVE), reports, STRANGER)
    assert main(call) == 0
    assert "never heard" not in capsys.readouterr().out


ACTIVE = [{"sha256": "0" * 64, "name": "x", "version": "1", "issue": 1, "clinical_use": True, "state": "active"}]
OUTBOX = {"waiting": 1, "proving": 0, "held": 0, "done": 9}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outbox": OUTBOX | {"oldest_s": 90_000.0}}, "an exam waits for the archive for 25 h"),
        ({"outbox": OUTBOX | {"oldest_s": 80_000.0}}, ""),
        ({"outbox": OUTBOX}, ""),
        ({"free_mib": 1023}, "1023 MiB of its disk are free"),
        ({"free_mib": 1024}, ""),
    ],
)
def test_what_somebody_has_to_look_at(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    keys_folder(tmp_path / "carts", one=KEY)
    write_report(cart_report("one", bundles=ACTIVE, **changes), tmp_path, KEY)
    fleet = read_fleet(tmp_path, read_trusted_keys(tmp_path / "carts"), NOW, timedelta(hours=24), 1000)
    assert "; ".join(fleet.rows[0].needs) == said
    assert fleet.fine == (not said)


def _evil(folder: Path, key: Ed25519PrivateKey) -> Path:
    write_report(cart_report("cart-1", drift="<script>alert(1)</script>"), folder, key)
    return folder


def test_the_real_commands_from_push_to_status(tmp_path: Path) -> None:
    """Two carts, the demonstration's stand-in, nothing faked: the trial runs the tiny networks."""
    state, shelf, reports = tmp_path / "state", tmp_path / "shelf", tmp_path / "reports"
    site, keys = private_pem(tmp_path / "site.pem"), keys_folder(tmp_path / "keys", site=KEY)
    folder = bundle_folder(tmp_path / "bundle", issue=4)
    words: tuple[object, ...] = ("push", folder, "--key", site, "--out", shelf, "--follows", "any", "--json")
    _, pushed, _ = called("runtime.fleet", *words, state=state)
    assert json.loads(pushed)["release"] == 1
    words = ("pull", shelf, "--station", "cart-1", "--trusted-keys", keys)
    pulled = run("runtime.fleet", *words, state=state, code=None)
    assert pulled.returncode == 1  # a site with keys needs a self-test that knows a positive: it stays inactive
    assert "holds no self-test" in pulled.stderr
    called("runtime.fleet", "report", "--station", "cart-1", "--key", site, "--out", reports, state=state)
    carts = keys_folder(tmp_path / "carts", cart_1=KEY)
    html = tmp_path / "carts.html"
    _, told, _ = called("runtime.fleet", "status", reports, "--carts", carts, "--html", html, state=state, code=1)
    assert "1 cart(s), 1 to be looked at" in told
    assert "cart-1" in html.read_text()
    words = ("units", "--source", shelf, "--station", "cart-1", "--trusted-keys", keys)
    _, units, _ = called("runtime.fleet", *words, state=state)
    assert "ExecStart=" in units
    assert "OnCalendar=" in units


GIVEN = {
    "--ca": "ca.pem",
    "--site-profile": "site.profile",
    "--journal": "journal",
    "--key-file": "journal.key",
    "--frames": "17",
    "--most-changed": "0.01",
    "--budget-ms": "250.0",
    "--engine": "openvino",
    "--precision": "fp32",
    "--slots": "slots",
    "--trusted-keys": "my keys",
    "--station": "cart-1",
}
OF_PULL_ONLY = {"--only-install", "--json", "--help", "--config"}
"""A service that takes bundles and never uses one is not offered."""


def test_a_service_pulls_and_reports_by_all_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every option of `pull` among them: what units forgot, a pull by hand had and the timer's had not."""
    monkeypatch.chdir(tmp_path)
    given = [word for pair in GIVEN.items() for word in pair]
    words = ["units", "--source", "https://rop.example.org/c", "--report-to", "out", "--key", "cart.pem", "--json"]
    assert main([*words, *given]) == 0
    service = json.loads(capsys.readouterr().out)["rop-fleet.service"]
    calls = [shlex.split(line.partition("=")[2]) for line in service.splitlines() if line.startswith("Exec")]
    pulls, reports = (parse(call[call.index("runtime.fleet") + 1 :]) for call in calls)
    asked = parse(["pull", "https://rop.example.org/c", *given])
    for name, value in vars(asked).items():
        wanted = value.absolute() if isinstance(value, Path) else value
        assert getattr(pulls, name) == wanted, name
        if name in vars(reports) and name != "verb":
            assert getattr(reports, name) == wanted, name
    with pytest.raises(SystemExit):
        parse(["pull", "--help"])
    known = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert known - OF_PULL_ONLY == set(GIVEN)


@pytest.mark.parametrize("lacks", ["--station", "--trusted-keys"])
def test_units_that_would_have_it_from_nowhere(
    lacks: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROP_STATION", "of this terminal")
    given = [word for pair in GIVEN.items() if pair[0] != lacks for word in pair]
    assert main(["units", "--source", "shelf", *given]) == 2
    assert f"{lacks}: a service has it from nowhere else" in capsys.readouterr().err


@pytest.mark.parametrize("slots", [None, "/srv/slots"])
def test_a_service_shares_what_the_carts_unit_has(
    slots: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cart reads no slots of whoever wrote the unit; issue numbers that the anchor is not told bar the way back."""
    monkeypatch.setenv("ROP_SITE_STATE", "/home/admin/state")
    monkeypatch.setenv("ROP_SITE_ANCHOR", "/var/log/rop/the issues")
    monkeypatch.delenv("ROP_BUNDLES", raising=False)
    if slots is not None:
        monkeypatch.setenv("ROP_BUNDLES", slots)
    given = [word for pair in GIVEN.items() if pair[0] != "--slots" for word in pair]
    words = ["--report-to", "/media/stick", "--key", "cart.pem", "--json"]
    assert main(["units", "--source", "https://rop.example.org/c", *given, *words]) == 0
    lines = json.loads(capsys.readouterr().out)["rop-fleet.service"].splitlines()
    assert 'Environment="ROP_SITE_ANCHOR=/var/log/rop/the issues"' in lines
    written = [line.partition("=")[2] for line in lines if line.startswith("ReadWritePaths=")]
    shared = [] if slots is None else [f"-{slots}"]
    assert written == [*shared, "-/media/stick", '"/var/log/rop/the issues"']  # "-": a stick that is not there
    assert "StateDirectory=rop-screening" in lines
    for call in (line for line in lines if line.startswith("Exec")):
        assert (f"--slots {slots}" in call) == (slots is not None)
        assert "/home/admin" not in call


def test_a_cart_that_cannot_pull_reports_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A further ExecStart of a service is not run after one that failed."""
    given = [word for pair in GIVEN.items() for word in pair]
    assert main(["units", "--source", "shelf", *given, "--report-to", "out", "--key", "cart.pem"]) == 0
    lines = re.findall(r"^(Exec\w+)=.* runtime.fleet (\w+)", capsys.readouterr().out, re.MULTILINE)
    assert lines == [("ExecStart", "pull"), ("ExecStopPost", "report")]


@pytest.mark.parametrize("station", ["", "../x", "a/b", "a b", "-x"])
def test_a_station_that_names_no_file(means: Means, station: str) -> None:
    with pytest.raises(FleetError, match="--station"):
        make_report(replace(means, station=station))


def test_a_report_names_nobody(means: Means, tmp_path: Path, one: Path, trials: Trials) -> None:
    from tests.runtime.exam.test_commands import INFANT

    journal, key = tmp_path / "journal", tmp_path / "cart.key"
    state = tmp_path / "elsewhere"
    (tmp_path / "infant.json").write_text(json.dumps(INFANT))
    called("runtime.exam", "key", key, state=state)
    common = ("--journal", journal, "--key-file", key, "--operator", "Anna Secret")
    _, said, _ = called("runtime.exam", "new", *common, "--infant", tmp_path / "infant.json", state=state)
    exam = said.strip()
    made = make_report(replace(means, journal=journal, key_file=key)).model_dump_json()
    for name in (INFANT["name"], INFANT["infant_id"], "Anna Secret", exam):
        assert str(name) not in made
    assert json.loads(made)["outbox"] is not None


def test_two_bundles_of_one_number_are_not_offered_together(one: Path, two: Path, tmp_path: Path, shelf: Path) -> None:
    """Carts took one of them by its hash, and the other never: its number is no higher."""
    again = bundle_folder(tmp_path / "again", version="2 again", issue=2)
    push(one, shelf, KEY, follows=None, waves=ALL)
    push(two, shelf, KEY, follows=None, waves=ALL)
    before = sorted((path.name, path.read_bytes()) for path in shelf.iterdir())
    with pytest.raises(FleetError, match=r"issue 2 of test is .* sign this one with a higher number, or, .* --drop"):
        push(again, shelf, KEY, follows=None, waves=ALL)
    assert sorted((path.name, path.read_bytes()) for path in shelf.iterdir()) == before
    assert push(two, shelf, KEY, follows=None, waves=ALL).issue == 3  # itself, with other waves
    release = push(again, shelf, KEY, follows=None, waves=ALL, drop=[sha256_of(two)])
    assert [package.version for package in release.packages] == ["1", "2 again"]
    assert push(bundle_folder(tmp_path / "o", name="o", version="1", issue=2), shelf, KEY, follows=None, waves=ALL)

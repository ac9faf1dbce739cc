"""The cart's command line: the file, its users, the units, and what is said when something cannot be."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.__main__ import main
from runtime.cart.alone import alone
from runtime.cart.checking import findings
from runtime.cart.errors import SignInRefused
from runtime.cart.units import CartUnitOptions, units
from runtime.cart.users import SignIn, load_users, new_user, save_users
from runtime.config import load_config
from runtime.exam.journal.crypt import write_new_key


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "cart.toml"
    assert main(["init", str(path)]) == 0
    return path


def test_the_file_that_init_writes_can_be_read_and_is_never_written_over(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = load_config(config)
    assert (found.station, found.web.port) == ("CART-1", 8420)
    assert found.journal == config.parent / "journal"
    before = config.read_text()
    assert main(["init", str(config)]) == 2
    assert "File exists" in capsys.readouterr().err
    assert config.read_text() == before


def test_a_user_is_added_once_and_the_pin_is_not_in_the_file(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1357\n"))
    assert main(["user", "ana", "--shown", "Ana R.", "--config", str(config)]) == 0
    users = config.parent / "users.json"
    assert "1357" not in users.read_text()
    assert users.stat().st_mode & 0o077 == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("2468\n"))
    assert main(["user", "ana", "--config", str(config)]) == 2
    assert "already; give --new-pin" in capsys.readouterr().err


def test_another_pin_and_a_user_who_goes_hold_at_once_in_a_cart_that_runs(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def user(*words: str, pin: str = "") -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{pin}\n"))
        return main(["user", *words, "--config", str(config)])

    assert user("ana", "--new-pin", pin="1357") == 2
    assert user("ana", "--shown", "Ana R.", "--role", "clinician", pin="1357") == 0
    file = config.parent / "users.json"
    sign_in = SignIn(load_users(file), file=file)
    before = sign_in.check("ana", "1357")
    assert user("ana", "--new-pin", pin="8642") == 0
    assert not sign_in.knows(before)
    with pytest.raises(SignInRefused):
        sign_in.check("ana", "1357")
    ana = sign_in.check("ana", "8642")
    assert (ana.shown, ana.role) == ("Ana R.", "clinician")
    assert user("ana", "--remove") == 2  # nobody would be left
    assert user("ben", pin="2468") == 0
    assert user("ana", "--new-pin", pin="1") == 2
    assert user("ana", "--remove") == 0
    assert "may not sign in any more" in capsys.readouterr().out
    assert not sign_in.knows(ana)
    assert [one.name for one in sign_in.users] == ["ben"]
    file.write_text("{")
    assert sign_in.check("ben", "2468").name == "ben"  # a file that is broken keeps nobody out


def test_what_another_one_changed_while_the_pin_was_asked_for_stands(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config.parent / "users.json"

    def user(*words: str, pin: str = "1357", meanwhile: tuple[str, ...] = ()) -> int:
        def asked() -> str:
            assert not meanwhile or user(*meanwhile, pin="2468") == 0
            return pin

        monkeypatch.setattr("runtime.cart.verbs._pin", asked)
        return main(["user", *words, "--config", str(config)])

    def names() -> list[str]:
        return [one.name for one in load_users(file)]

    assert (user("ana"), user("bob")) == (0, 0)
    assert user("carl", meanwhile=("bob", "--remove")) == 0
    assert names() == ["ana", "carl"]
    assert user("carl", "--new-pin", meanwhile=("carl", "--remove")) == 2
    assert "user carl: is not in users.json" in capsys.readouterr().err
    assert names() == ["ana"]
    assert user("dora", meanwhile=("dora",)) == 2
    assert "already; give --new-pin" in capsys.readouterr().err
    assert SignIn(load_users(file)).check("dora", "2468").name == "dora"


def test_units_are_shown_whole(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--print", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    for unit in ("cart.target", "rop-cart.service", "rop-sender.service", "rop-keeper.timer", "rop-kiosk.service"):
        assert f"/etc/systemd/system/{unit}" in shown
    assert f"--config {config}" in shown
    assert "LimitCORE=0" in shown
    assert "rop-audit" not in shown


def test_the_audit_trail_has_its_unit_where_the_site_names_a_repository(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = {"schema": "rop.dicom/1", "audit": {"host": "audit.example", "transport": "udp"}}
    (config.parent / "dicom.json").write_text(json.dumps(site))
    config.write_text(config.read_text() + '\n[site]\ndicom = "dicom.json"\n')
    assert main(["install", "--print", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    assert "/etc/systemd/system/rop-audit.service" in shown
    assert "-m runtime.dicom audit --watch --config" in shown
    assert "Wants=rop-cart.service rop-sender.service rop-audit.service" in shown


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_judges_the_units_hardened(tmp_path: Path) -> None:
    options = CartUnitOptions(
        Path("/usr/bin/python3"), Path("/etc/rop/a cart.toml"), Path("/var/lib/rop/journal"), "http://127.0.0.1:8420/"
    )
    for name, text in units(options).items():
        (tmp_path / name).write_text(text)
    services = ("rop-cart.service", "rop-sender.service", "rop-keeper.service")
    for name in services:  # not the kiosk: a browser needs namespaces and a seat; it holds no key
        words = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(tmp_path / name)]
        judged = subprocess.run(words, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout[-200:]  # exposure at most 2.0 of 10
    words = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in services)]
    verified = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "schema"),
        ('schema = "rop.cart/1"\n[camera]\nsauce = "sim:"\n', "camera"),
        ('schema = "rop.cart/1"\n[web]\nport = "x"\n', "web.port"),
        ("schema = ", "TOML"),
        *(
            (f'schema = "rop.cart/1"\n{table}{key} = "{value}"\n', f"{named}: got a path")
            for value in ("a\\u0000b", "x" * 300, "x/" * 3000)
            for table, key, named in (
                ("", "journal", "journal"),
                ("", "users", "users"),
                ("[bundle]\n", "folder", "bundle.folder"),
                ("[site]\n", "dicom", "site.dicom"),
                ("[web]\n", "certificate", "web.certificate"),
                ('[light]\nport = "simulated"\n', "calibration", "light.calibration"),
            )
        ),
    ],
)
@pytest.mark.parametrize("verb", [["run"], ["check"], ["install", "--print"], ["user", "ana"]])
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_2(
    tmp_path: Path, verb: list[str], text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cart.toml"
    path.write_text(text)
    assert main([*verb, "--config", str(path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_a_cart_without_users_or_camera_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cart.toml"
    path.write_text('schema = "rop.cart/1"\n')
    assert main(["run", "--config", str(path)]) == 2
    assert "users" in capsys.readouterr().err


def test_pages_for_the_whole_network_need_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cart.toml"
    path.write_text('schema = "rop.cart/1"\n[camera]\nsource = "sim:fps=10"\n[web]\naddress = "0.0.0.0"\n')
    assert main(["check", "--config", str(path)]) == 1
    assert "needs TLS" in capsys.readouterr().out


@pytest.mark.slow
def test_check_tries_every_part_and_names_what_does_not_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from runtime.exam.journal.crypt import write_new_key

    write_new_key(tmp_path / "journal.key")
    path = tmp_path / "cart.toml"
    path.write_text(
        'schema = "rop.cart/1"\nkey_file = "journal.key"\n'
        '[camera]\nsource = "sim:fps=10,size=320x240"\n[web]\nport = 0\n'
    )
    assert main(["check", "--config", str(path)]) == 1  # nobody could sign in
    lines = capsys.readouterr().out.splitlines()
    marks = {line[2:].partition(":")[0].split()[0]: line[0] for line in lines}
    assert marks == {"site": "+", "users": "!", "web": "+", "journal": "+", "engine": "+", "camera": "+"} | {
        "light": "-",
        "worklist": "-",
        "archive": "-",
    }


def test_what_a_broken_bundle_or_site_lacks_keeps_no_other_part_from_being_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cart.toml"
    path.write_text(
        'schema = "rop.cart/1"\nkey_file = "none.key"\n[camera]\nsource = "sim:fps=10,size=320x240"\n'
        f'still = "folder:{tmp_path}/none"\n[light]\nport = "/dev/ttyNONE"\n'
        '[bundle]\nfolder = "none"\n[web]\nport = 0\n'
    )
    assert main(["check", "--config", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    marks = {line[2:].partition(":")[0].split(" sim")[0]: line[0] for line in lines}
    assert marks == {"site and bundle": "!", "users": "!", "web": "+", "journal": "!", "camera": "+"} | {
        "engine": "-",
        "still camera": "!",
        "light board": "!",
        "worklist": "-",
        "archive": "-",
    }


@pytest.mark.parametrize(
    ("still", "said"),
    [
        ("folder:{folder}", "+ still camera: 0 pictures lie there"),
        ("folder:{folder}/none", "! still camera: "),
        ("http://127.0.0.1:{port}/still", "+ still camera: 127.0.0.1:{port} listens"),
        ("http://127.0.0.1:1/still", "! still camera: still: the camera cannot be reached (Connection refused)"),
        ("http://[::1", "! still camera: still 'http://[::1': expected http://"),
        ("http://", "! still camera: still 'http://': expected http://"),
        ("ftp://camera", "! still camera: still 'ftp://camera': expected http://"),
    ],
)
def test_the_way_of_the_stills_is_tried_and_no_picture_is_taken(tmp_path: Path, still: str, said: str) -> None:
    folder = tmp_path / "stills"
    folder.mkdir()
    with closing(socket.create_server(("127.0.0.1", 0))) as camera:
        names = {"folder": folder, "port": camera.getsockname()[1]}
        path = tmp_path / "cart.toml"
        path.write_text(
            f'schema = "rop.cart/1"\n[camera]\nsource = "nothing:"\nstill = "{still.format(**names)}"\n'
            '[bundle]\nfolder = "none"\n'
        )
        found = [one for one in findings(load_config(path)) if one.part == "still camera"]
        told = [f"{'!' if one.problem else '+'} {one.part}: {one.problem or one.fact}" for one in found]
        assert [line.startswith(said.format(**names)) for line in told] == [True], told
        if "listens" in said:
            taken, _ = camera.accept()
            with closing(taken):
                assert taken.recv(1000) == b""  # nothing was asked for


def test_a_simulated_camera_that_is_not_live_says_what_makes_it_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from runtime.exam.journal.crypt import write_new_key

    write_new_key(tmp_path / "journal.key")
    path = tmp_path / "cart.toml"
    path.write_text('schema = "rop.cart/1"\nkey_file = "journal.key"\n[camera]\nsource = "sim:seed=3"\n')
    assert main(["check", "--config", str(path)]) == 1
    camera = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("! camera"))
    assert "sim:fps=15" in camera


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "99999"], "--port: got '99999', expected a whole number from 0 to 65535"),
        (["--size", "abc"], "--size: got 'abc', expected WIDTHxHEIGHT"),
        (["--size", "5x5"], "--size: got '5x5', expected WIDTHxHEIGHT"),
        (["--seed", "-1"], "--seed: got '-1', expected a whole number"),
        (["--folder", "FILE"], "cannot be made a folder (File exists); name another"),
    ],
)
def test_what_the_demonstration_cannot_use_is_said_and_exit_code_2(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    try:
        code = main(["demo", *(str(file) if word == "FILE" else word for word in words)])
    except SystemExit as ended:
        code = ended.code  # type: ignore[assignment]
    assert code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["demo", "--port", "0"], ["terminal", "--demo", "--operator", "ana"]])
def test_a_second_cart_on_a_folder_is_refused_in_one_line(
    tmp_path: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with alone(tmp_path, "the first"):
        assert main([*verb, "--folder", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [f"runtime.cart: --folder {tmp_path}: another cart runs on it; end that one, or name another folder"]
    with alone(tmp_path, "the next"):
        pass


def test_a_second_cart_on_a_journal_is_refused_in_one_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_users(config.parent / "users.json", (new_user("ana", "Ana", "1357"),))
    write_new_key(config.parent / "journal.key")
    config.write_text(config.read_text().replace('source = "camera:0"', 'source = "sim:fps=15"'))
    with alone(config.parent / "journal", "the first"):
        for words in (["run"], ["terminal", "--operator", "ana"]):
            assert main([*words, "--config", str(config)]) == 2
            (said,) = capsys.readouterr().err.splitlines()
            assert "another cart runs on it" in said

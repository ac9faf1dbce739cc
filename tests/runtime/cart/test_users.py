"""Users and PINs: the file, the sign-in, the wait after wrong ones."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from runtime.cart import users as users_module
from runtime.cart.errors import CartError, SignInRefused
from runtime.cart.users import (
    FIRST_WAIT_S,
    FREE_TRIES,
    LONGEST_WAIT_S,
    SignIn,
    User,
    held,
    load_users,
    new_user,
    save_users,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ANA = new_user("ana", "Ana R.", "1357")


def test_a_missing_file_is_told_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(CartError, match=r"runtime\.cart user NAME makes it"):
        load_users(tmp_path / "users.json")


def test_a_saved_file_has_no_pin_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    save_users(path, (ANA, new_user("ben", "Ben", "2468", "technician")))
    assert "1357" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    users = load_users(path)
    assert [user.name for user in users] == ["ana", "ben"]
    assert SignIn(users).check("ana", "1357") == ANA


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"schema": "rop.users/1", "users": []}', "users"),
        ('{"schema": "rop.users/2", "users": []}', "schema"),
        ("not json", "JSON"),
        ('{"schema": "rop.users/1", "users": [{"name": "ana"}]}', "shown"),
        ('{"schema": "rop.users/1", "users": [], "users": []}', "'users' stands twice"),
        (
            '{"schema": "rop.users/1", "users": [{"name": "ana", "role": "operator", "role": "technician"}]}',
            "'role' stands twice",
        ),
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(CartError, match=said):
        load_users(path)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    save_users(path, (ANA,))
    path.chmod(0o644)
    with pytest.raises(CartError, match="0600"):
        load_users(path)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        save_users(tmp_path / "users.json", (ANA, ANA))
    assert list(tmp_path.iterdir()) == []


def test_who_changes_the_file_waits_for_another_who_does(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    save_users(path, (ANA,))
    began = threading.Event()

    def add() -> None:
        began.set()
        with held(path):
            save_users(path, (*load_users(path), new_user("cleo", "Cleo", "1357")))

    other = threading.Thread(target=add)
    with held(path):
        known = load_users(path)
        other.start()
        began.wait()
        other.join(0.1)
        assert other.is_alive()
        save_users(path, (*known, new_user("ben", "Ben", "2468")))
    other.join()
    assert [user.name for user in load_users(path)] == ["ana", "ben", "cleo"]
    assert {one.name: oct(one.stat().st_mode & 0o777) for one in tmp_path.iterdir()} == {
        "users.json": "0o600",
        ".users.json.lock": "0o600",
    }


def test_a_short_pin_is_refused() -> None:
    with pytest.raises(CartError, match="at least 4"):
        new_user("ana", "Ana", "123")


def test_after_five_wrong_pins_even_the_right_one_waits_and_each_further_one_waits_longer() -> None:
    clock = Clock()
    sign_in = SignIn((ANA,), clock)
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInRefused) as refused:
            sign_in.check("ana", "0000")
        assert refused.value.wait_s == 0
    with pytest.raises(SignInRefused) as refused:
        sign_in.check("ana", "1357")
    assert refused.value.wait_s == pytest.approx(FIRST_WAIT_S)
    clock.now += FIRST_WAIT_S + 1
    with pytest.raises(SignInRefused) as refused:
        sign_in.check("ana", "0000")
    with pytest.raises(SignInRefused) as refused:
        sign_in.check("ana", "1357")
    assert refused.value.wait_s == pytest.approx(2 * FIRST_WAIT_S)
    assert str(refused.value) == "too many wrong PINs; try again in 60 s"
    clock.now += LONGEST_WAIT_S
    assert sign_in.check("ana", "1357") == ANA


def test_a_right_pin_ends_the_count() -> None:
    sign_in = SignIn((ANA,), Clock())
    for _ in range(3):
        for _ in range(FREE_TRIES - 1):
            with pytest.raises(SignInRefused, match="wrong"):
                sign_in.check("ana", "0000")
        sign_in.check("ana", "1357")


def test_one_users_wrong_pins_do_not_lock_another_out() -> None:
    sign_in = SignIn((ANA, new_user("ben", "Ben", "2468")), Clock())
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(SignInRefused):
            sign_in.check("ana", "0000")
    assert sign_in.check("ben", "2468").name == "ben"


def test_unknown_names_are_counted_together_and_say_the_same() -> None:
    sign_in = SignIn((ANA,), Clock())
    with pytest.raises(SignInRefused, match="name or PIN is wrong"):
        sign_in.check("nobody", "1357")
    for number in range(FREE_TRIES):
        with pytest.raises(SignInRefused):
            sign_in.check(f"nobody{number}", "1357")
    assert len(sign_in._tries) == 1


def test_who_guesses_from_another_machine_keeps_nobody_at_the_carts_screen_waiting() -> None:
    sign_in = SignIn((ANA,), Clock())
    for _ in range(FREE_TRIES + 2):
        with pytest.raises(SignInRefused):
            sign_in.check("ana", "0000", elsewhere=True)
    assert sign_in.check("ana", "1357") == ANA
    with pytest.raises(SignInRefused, match="too many wrong PINs"):  # and its own right PIN forgives them nothing
        sign_in.check("ana", "1357", elsewhere=True)


def kept(tmp_path: Path) -> tuple[Path, SignIn]:
    path = tmp_path / "users.json"
    save_users(path, (ANA, new_user("ben", "Ben", "2468", "technician")))
    return path, SignIn(load_users(path), file=path)


def test_a_user_gives_themselves_another_pin(tmp_path: Path) -> None:
    path, sign_in = kept(tmp_path)
    before = sign_in.check("ana", "1357")
    changed = sign_in.change_pin("ana", "1357", "8642")
    assert (changed.name, changed.shown, changed.role) == ("ana", "Ana R.", "operator")
    assert not sign_in.knows(before)  # whose sessions end
    for one in (sign_in, SignIn(load_users(path))):
        assert one.check("ana", "8642") == changed
        assert one.check("ben", "2468").role == "technician"
        with pytest.raises(SignInRefused):
            one.check("ana", "1357")


def test_without_a_file_the_pin_holds_until_the_end(tmp_path: Path) -> None:
    sign_in = SignIn((ANA,))
    sign_in.change_pin("ana", "1357", "8642")
    assert sign_in.check("ana", "8642").name == "ana"


@pytest.mark.parametrize(
    ("pin", "new_pin", "said"),
    [
        ("1358", "8642", "PIN is wrong"),
        ("", "8642", "PIN is wrong"),
        ("1357", "864", "shorter than 4"),
        ("1357", "", "shorter than 4"),
        ("1357", "1357", "choose another"),
    ],
)
def test_a_pin_stays_where_the_one_of_now_is_wrong_or_the_new_one_cannot_be(
    tmp_path: Path, pin: str, new_pin: str, said: str
) -> None:
    path, sign_in = kept(tmp_path)
    before = path.read_bytes()
    with pytest.raises(CartError, match=said):
        sign_in.change_pin("ana", pin, new_pin)
    assert path.read_bytes() == before


def test_guessing_the_pin_of_now_is_counted_as_at_the_sign_in() -> None:
    sign_in = SignIn((ANA,), clock=Clock())
    for number in range(FREE_TRIES):
        with pytest.raises(SignInRefused, match="PIN is wrong"):
            sign_in.change_pin("ana", f"000{number}", "8642")
    with pytest.raises(SignInRefused, match="too many wrong PINs"):
        sign_in.change_pin("ana", "1357", "8642")
    with pytest.raises(SignInRefused, match="too many wrong PINs"):
        sign_in.check("ana", "1357")


def test_a_users_file_that_cannot_be_written_is_said_with_whom_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sign_in = kept(tmp_path)

    def unwritable(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(users_module, "save_users", unwritable)
    with pytest.raises(CartError, match=r"stays as it was.*Read-only file system.*technician"):
        sign_in.change_pin("ana", "1357", "8642")
    assert sign_in.check("ana", "1357") == ANA


def test_who_was_taken_out_meanwhile_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sign_in = kept(tmp_path)
    others = tuple(one for one in load_users(path) if one.name != "ana")
    checked = SignIn.check

    def then_taken_out(self: SignIn, name: str, pin: str, *, elsewhere: bool = False) -> User:
        found = checked(self, name, pin, elsewhere=elsewhere)
        save_users(path, others)
        return found

    monkeypatch.setattr(SignIn, "check", then_taken_out)
    with pytest.raises(SignInRefused):
        sign_in.change_pin("ana", "1357", "8642")
    assert load_users(path) == others

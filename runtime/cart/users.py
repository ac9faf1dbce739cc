"""Who may use the cart: the users file with scrypt hashes of PINs, and a sign-in that makes guessing slow."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from device.checked_file import read_whole
from runtime.cart.errors import CartError, NotNow, SignInRefused
from runtime.cart.persons import shown_span
from runtime.checked_json import NotJson, first_problem, model_from
from runtime.summed import Summed

USERS_SCHEMA = "rop.users/1"
LARGEST_BYTES = 1 << 20
FREE_TRIES = 5
"""Wrong PINs in a row before a user has to wait."""
FIRST_WAIT_S = 30.0
"""Wait after the fifth wrong PIN; each further one doubles it."""
LONGEST_WAIT_S = 15 * 60.0
SHORTEST_PIN = 4
Role = Literal["operator", "clinician", "technician"]
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
"""About 50 ms and 16 MiB a try: RFC 7914's interactive parameters."""


class User(BaseModel):
    """One person, as the users file has them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
    """As the trail names them."""
    shown: Annotated[str, Field(min_length=1, max_length=64)]
    """As the screen names them."""
    role: Role = "operator"
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """scrypt of the PIN with the salt, 32 bytes as hex."""


class UsersFile(Summed):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal["rop.users/1"] = Field(alias="schema")
    users: tuple[User, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _each_once(self) -> UsersFile:
        names = [user.name for user in self.users]
        if len(set(names)) != len(names):
            raise ValueError(f"users: a name stands twice among {', '.join(names)}; expected each once")
        return self


def new_user(name: str, shown: str, pin: str, role: Role = "operator") -> User:
    """A user with a fresh salt. Raises `CartError` for a PIN that is too short or a name that the file cannot have."""
    if len(pin) < SHORTEST_PIN:
        raise CartError(f"PIN: got {len(pin)} characters, expected at least {SHORTEST_PIN}")
    salt = secrets.token_bytes(16)
    try:
        return User(name=name, shown=shown, role=role, salt=salt.hex(), hash=_hash(pin, salt).hex())
    except ValidationError as error:
        raise CartError(f"user: {first_problem(error, 'the file')}") from None


def load_users(path: Path) -> tuple[User, ...]:
    """Read a users file. Raises `CartError` when it cannot be read, is not one, or may be read by everybody."""
    try:
        text = read_whole(path, LARGEST_BYTES)
        mode = path.stat().st_mode
    except OSError as error:
        raise CartError(
            f"users file {path.name}: cannot be read ({error.strerror}); python -m runtime.cart user NAME makes it, "
            "or name another one in cart.toml"
        ) from None
    if mode & 0o077:
        raise CartError(f"users file {path.name}: others may read it; expected mode 0600: chmod 600 {path.name}")
    try:
        return model_from(UsersFile, text).users
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "the file") if isinstance(error, ValidationError) else str(error)
        raise CartError(f"users file {path.name}: {problem}; expected {USERS_SCHEMA}") from None


def save_users(path: Path, users: tuple[User, ...]) -> None:
    """Write a users file that only its owner can read, whole or not at all; it stays that owner's, whoever writes."""
    content = json.dumps(UsersFile(schema="rop.users/1", users=users).summed(), indent=2, ensure_ascii=False)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if path.exists() and os.geteuid() == 0:  # else a cart that runs as its own user could read it no more
            os.fchown(descriptor, path.stat().st_uid, path.stat().st_gid)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a users file, which need not be there yet, for whoever reads, changes and writes it; another one waits.

    The lock is a file beside it, `.NAME.lock`: the file itself is another one after each change. Raises `OSError`.
    """
    beside = path.with_name(f".{path.name}.lock")
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(beside, flags | os.O_CREAT | os.O_EXCL, 0o600)
        if path.exists() and os.geteuid() == 0:  # as the users file, and only what was made here just now
            os.fchown(descriptor, path.stat().st_uid, path.stat().st_gid)
    except FileExistsError:
        descriptor = os.open(beside, flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclass
class _Tries:
    wrong: int = 0
    wait_until: float = 0.0


@dataclass(eq=False)
class SignIn:
    """Checks PINs. Safe for use from several threads.

    After five wrong PINs in a row a user has to wait, twice as long after each further one; others do not wait for
    them. An unknown name costs the same time as a wrong PIN, and waits alike, so that names cannot be found out. Tries
    from elsewhere are counted by themselves: who guesses over the network keeps nobody at the cart's screen waiting.
    """

    users: tuple[User, ...]
    clock: Callable[[], float] = time.monotonic
    file: Path | None = None
    """Where they stand; read anew once it was changed, so that a new PIN holds at once."""
    _stamp: tuple[int, int, int] | None = None
    _tries: dict[tuple[str, bool], _Tries] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> None:
        """Take up what the file holds by now; where it cannot be read, those that are known stay."""
        if self.file is None:
            return
        with suppress(OSError, CartError):
            found = self.file.stat()
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self.users, self._stamp = load_users(self.file), stamp

    def knows(self, user: User) -> bool:
        """Whether that is still a user, with that PIN and role."""
        self.refresh()
        return user in self.users

    def check(self, name: str, pin: str, *, elsewhere: bool = False) -> User:
        """The user of that name and PIN. Raises `SignInRefused`, with `wait_s` while there is a wait.

        elsewhere: whether it is tried from another machine than the cart.
        """
        self.refresh()
        known = next((user for user in self.users if user.name == name), None)
        counted = (name if known is not None else "", elsewhere)
        with self._lock:
            tries = self._tries.setdefault(counted, _Tries())
            left_s = tries.wait_until - self.clock()
            if left_s > 0:
                raise SignInRefused(f"too many wrong PINs; try again in {shown_span(left_s)}", wait_s=left_s)
            # Counted before it is checked: tries at the same moment are tries all the same.
            tries.wrong += 1
            if tries.wrong >= FREE_TRIES:
                wait_s = min(FIRST_WAIT_S * 2 ** (tries.wrong - FREE_TRIES), LONGEST_WAIT_S)
                tries.wait_until = self.clock() + wait_s
        salt, expected = (bytes.fromhex(known.salt), known.hash) if known else (bytes(16), "0" * 64)
        right = hmac.compare_digest(_hash(pin, salt).hex(), expected)
        if known is None or not right:
            raise SignInRefused("name or PIN is wrong; try again")
        with self._lock:
            self._tries.pop(counted, None)
        return known

    def change_pin(self, name: str, pin: str, new_pin: str, *, elsewhere: bool = False) -> User:
        """Give a user another PIN, who says the one of now; in the file, where there is one.

        Raises `SignInRefused` as `check` does, which counts a wrong one; `NotNow` for a new PIN that cannot be, and
        where the file cannot be written.
        """
        known = self.check(name, pin, elsewhere=elsewhere)
        if new_pin == pin:
            raise NotNow("the new PIN is the one of before; choose another")
        if len(new_pin) < SHORTEST_PIN:
            raise NotNow(f"the new PIN is shorter than {SHORTEST_PIN} digits; choose another")
        new = new_user(known.name, known.shown, new_pin, known.role)
        if self.file is None:
            self.users = tuple(new if one == known else one for one in self.users)
            return new
        try:
            with held(self.file):
                there = load_users(self.file)
                if known not in there:  # somebody else changed it just now
                    raise SignInRefused("name or PIN is wrong; try again")
                save_users(self.file, tuple(new if one == known else one for one in there))
        except OSError as error:
            raise NotNow(
                f"the PIN stays as it was: the users file cannot be written ({error.strerror}); have the technician "
                "change it"
            ) from None
        self.refresh()
        return new


def _hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, dklen=32, maxmem=64 * 2**20, **_SCRYPT)

"""What each verb does."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import DeviceError
from runtime.commands.say import aside, say, say_json
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import printable
from runtime.cuda.errors import GPU_LOST_EXIT_CODE
from runtime.errors import ScreeningError

if TYPE_CHECKING:
    from runtime.bundles.starts import Program
    from runtime.cart.server import Address
    from runtime.cart.users import User
    from runtime.config import CartConfig

DONE, SAYS_NO, UNUSABLE = 0, 1, 2


def run_verb(options: Namespace) -> int:
    """Run it; what it raises becomes one line and an exit code."""
    try:
        return VERBS[options.verb](options)
    except (ScreeningError, DeviceError) as error:
        aside(f"runtime.cart: {error}")
        return UNUSABLE


def demo(options: Namespace) -> int:
    """The cart on simulated parts."""
    from runtime.cart.cart import Cart
    from runtime.cart.demo.parts import PIN, SHOWN, USER, demonstration, demonstration_users
    from runtime.cart.server import Address, Server
    from runtime.cart.users import SignIn

    width, _, height = options.size.partition("x")
    size = (int(width), int(height))
    with (
        Stop() as stop,
        demonstration(options.folder, seed=options.seed, size=size) as simulated,
        Cart(simulated.parts) as cart,
        Server(cart, SignIn(demonstration_users()), Address(port=options.port)) as server,
    ):
        say(f"The cart's demonstration: {server.url}  user {USER} (shown as {SHOWN}), PIN {PIN}; Ctrl-C ends it")
        if options.open:
            import webbrowser

            webbrowser.open(server.url)
        try:
            with stop.interruptible:
                server.wait(stop)
        except Interrupted:
            pass
    return stop.exit_code if stop.requested else DONE


def run(options: Namespace) -> int:
    """The cart on the parts that its file names."""
    from runtime.bundles.starts import counted_start
    from runtime.cart.configured import program_of
    from runtime.cart.errors import CartError
    from runtime.cart.server import Address
    from runtime.cart.users import load_users
    from runtime.config import load_config

    config = load_config(options.config)
    if config.users is None:
        raise CartError('cart.toml: users: no users file named, so nobody could sign in; add users = "users.json"')
    users, address, program = load_users(config.users), Address.of(config.web), program_of(config)
    if program is None:
        return _serve(config, users, address, options.send, None)
    with counted_start(program, _warn):  # an engine that is lost ends it by SystemExit, which counts
        return _serve(config, users, address, options.send, program)


def _warn(text: str) -> None:
    aside(f"runtime.cart: {text}")


def _serve(config: CartConfig, users: tuple[User, ...], address: Address, send: bool, program: Program | None) -> int:
    from runtime.bundles.starts import go_back
    from runtime.cart.alone import alone
    from runtime.cart.cart import Cart
    from runtime.cart.configured import parts_of
    from runtime.cart.server import Server
    from runtime.cart.texts import Texts
    from runtime.cart.users import SignIn
    from runtime.daemon.notify import Notifier

    def back(why: str) -> bool:
        return program is not None and go_back(program, f"runtime.cart: {why}", _warn)

    texts = Texts(only=config.languages)
    parts = parts_of(config, send=send, go_back=back)
    notifier, idle_s = Notifier(), config.web.lock_minutes * 60
    with (
        alone(config.journal, f"journal {config.journal}"),
        Stop() as stop,
        Cart(parts, lock_minutes=config.web.lock_minutes) as cart,
        Server(cart, SignIn(users, file=config.users), address, idle_s=idle_s, texts=texts) as server,
    ):
        say(f"The cart: {server.url}")
        notifier.ready("serving")
        while server.running and not stop.requested and not cart.lost:
            if cart.alive:
                notifier.alive()
            time.sleep(0.25)
        notifier.stopping()
    if cart.lost:
        aside("runtime.cart: the engine is lost to this process; start it again")
        raise SystemExit(GPU_LOST_EXIT_CODE)
    return stop.exit_code if stop.requested else SAYS_NO


def check(options: Namespace) -> int:
    """Prove every part."""
    from dataclasses import asdict

    from runtime.cart.checking import findings
    from runtime.config import load_config

    bad = False
    for finding in findings(load_config(options.config)):
        bad = bad or bool(finding.problem)
        if options.json:
            say_json(asdict(finding))
            continue
        mark = "-" if finding.skipped else "!" if finding.problem else "+"
        say(printable(f"{mark} {finding.part}: {finding.problem or finding.fact or 'not tried'}"))
    return SAYS_NO if bad else DONE


def init(options: Namespace) -> int:
    """Write a commented file; one that is there is left alone."""

    from runtime.cart.errors import CartError

    template = Path(__file__).with_name("template.toml").read_text(encoding="utf-8")
    try:
        with options.file.open("x", encoding="utf-8") as file:
            file.write(template)
    except OSError as error:
        raise CartError(f"{options.file}: cannot be made ({error.strerror}); name another file") from None
    say(f"{options.file}: edit it, then: python -m runtime.cart check --config {options.file}")
    return DONE


def user(options: Namespace) -> int:
    """Add a user, give one another PIN, or take one out; a cart that runs knows at once."""
    from runtime.cart.errors import CartError
    from runtime.cart.users import held, new_user, save_users
    from runtime.config import load_config

    file = load_config(options.config).users
    if file is None:
        raise CartError('cart.toml: users: no users file named; add users = "users.json"')
    _known(file, options)
    pin = "" if options.remove else _pin()
    with held(file):
        known, there = _known(file, options)  # others may have changed it while the PIN was asked for
        if options.remove:
            save_users(file, tuple(one for one in known if one is not there))
        else:
            shown = options.shown or (there.shown if there else options.name)
            new = new_user(options.name, shown, pin, options.role or (there.role if there else "operator"))
            save_users(file, tuple(new if one is there else one for one in known) if there else (*known, new))
    say(f"{options.name} may not sign in any more" if options.remove else f"{options.name} may sign in with this PIN")
    return DONE


def _known(file: Path, options: Namespace) -> tuple[tuple[User, ...], User | None]:
    """All users, and the one that is named; raises `CartError` where what is asked cannot be."""
    from runtime.cart.errors import CartError
    from runtime.cart.users import load_users

    known = load_users(file) if file.exists() else ()
    there = next((one for one in known if one.name == options.name), None)
    if there is None and (options.new_pin or options.remove):
        raise CartError(f"user {options.name}: is not in {file.name}; it has {', '.join(o.name for o in known)}")
    if there is not None and not (options.new_pin or options.remove):
        raise CartError(f"user {options.name}: is in {file.name} already; give --new-pin, or --remove")
    if options.remove and len(known) == 1:
        raise CartError(f"user {options.name}: is the only one, and nobody could sign in; add another one before")
    return known, there


def _pin() -> str:
    """Asked for twice, or read from standard input."""
    import getpass

    from runtime.cart.errors import CartError

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    pin = getpass.getpass("PIN: ")
    if getpass.getpass("PIN again: ") != pin:
        raise CartError("PIN: the two differ; try again")
    return pin


def install(options: Namespace) -> int:
    """Show the units."""

    from runtime.cart.server import Address
    from runtime.cart.units import CartUnitOptions, units
    from runtime.config import load_config
    from runtime.site_state import ANCHOR_VARIABLE

    config = load_config(options.config)
    address = Address.of(config.web)
    scheme = "http" if address.certificate is None else "https"
    host = f"[{address.host}]" if ":" in address.host else address.host
    made = units(
        CartUnitOptions(
            python=Path(sys.executable),
            config=options.config.absolute(),
            journal=config.journal,
            anchors=tuple(Path(anchor) for anchor in config.anchors if anchor != "syslog"),
            site_anchor=Path(told).absolute() if (told := os.environ.get(ANCHOR_VARIABLE)) else None,
            slots=_slots(config),
            audit=_audited(config),
            address=f"{scheme}://{host}:{address.port}/",
        )
    )
    for name, text in made.items():
        say(f"# /etc/systemd/system/{name}\n{text}")
    return DONE


def _audited(config: CartConfig) -> bool:
    """Whether the site's DICOM configuration names an audit repository."""
    if config.site.dicom is None:
        return False
    from runtime.dicom.configuration import load_dicom_config

    return load_dicom_config(config.site.dicom).audit is not None


def _slots(config: CartConfig) -> Path | None:
    """The slots that the cart's file, or the environment, names; None for those in the unit's own state folder."""
    from runtime.bundle import MANIFEST
    from runtime.slots import SLOTS_VARIABLE

    folder = config.bundle.folder
    if folder is None:
        named = os.environ.get(SLOTS_VARIABLE)
        return Path(named).absolute() if named else None
    return None if (folder / MANIFEST).exists() else folder


def terminal(options: Namespace) -> int:
    """An exam from this terminal."""
    from runtime.cart.terminal import terminal as run_terminal

    return run_terminal(options)


VERBS: dict[str, Callable[[Namespace], int]] = {
    "check": check,
    "demo": demo,
    "init": init,
    "install": install,
    "run": run,
    "terminal": terminal,
    "user": user,
}

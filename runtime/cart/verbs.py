"""What each verb does."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import TextIO

from device.errors import DeviceError
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import printable
from runtime.errors import ScreeningError

DONE, SAYS_NO, UNUSABLE = 0, 1, 2


def run_verb(options: Namespace) -> int:
    """Run it; what it raises becomes one line and an exit code."""
    try:
        return VERBS[options.verb](options)
    except (ScreeningError, DeviceError) as error:
        say(f"runtime.cart: {printable(str(error))}", sys.stderr)
        return UNUSABLE


def demo(options: Namespace) -> int:
    """The cart on simulated parts."""
    from runtime.cart.cart import Cart
    from runtime.cart.demo.parts import PIN, SHOWN, USER, demonstration
    from runtime.cart.server import Address, Server
    from runtime.cart.users import SignIn, new_user

    width, _, height = options.size.partition("x")
    size = (int(width), int(height))
    with (
        Stop() as stop,
        demonstration(options.folder, seed=options.seed, size=size) as simulated,
        Cart(simulated.parts) as cart,
        Server(cart, SignIn((new_user(USER, SHOWN, PIN),)), Address(port=options.port)) as server,
    ):
        say(f"The cart's demonstration: {server.url}  user {SHOWN}, PIN {PIN}; Ctrl-C ends it")
        if options.open:
            import webbrowser

            webbrowser.open(server.url)
        try:
            with stop.interruptible:
                server.wait(stop)
        except Interrupted:
            pass
    return stop.exit_code if stop.requested else DONE


def say(text: str, stream: TextIO | None = None) -> None:
    """One line, at once."""
    (stream or sys.stdout).write(text + "\n")
    (stream or sys.stdout).flush()


VERBS: dict[str, Callable[[Namespace], int]] = {"demo": demo}

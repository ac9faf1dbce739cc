"""A maker's own screen on the `Cart` object, without a web page: one exam's pictures, as a Qt program would take them.

    python docs/examples/own_screen.py FOLDER

Qt's event loop is played by a queue of calls: in Qt, `later` is a signal that is connected across threads. Nothing of
the cart blocks the screen: commands give futures, events come by a listener, the live picture is asked for.
"""

import queue
import sys
from pathlib import Path
from threading import Timer

from runtime.cart.cart import Cart
from runtime.cart.demo.parts import demonstration
from runtime.exam.infant import Infant
from runtime.views import Eye, View

INFANT = {"infant_id": "M-1", "name": "Maker^Ada", "sex": "F", "born_at": "2026-10-18T00:00"}
VIEWS = [(eye, view) for eye in Eye for view in (View.DISC, View.NASAL)]


class Screen:
    """The maker's window: everything in here runs in the screen's own thread."""

    def __init__(self, cart: Cart) -> None:
        self.cart, self.calls, self.left = cart, queue.SimpleQueue(), list(VIEWS)
        self.open, self.began = True, False

    def later(self, does, *args) -> None:
        """From any thread: run it in the screen's thread."""
        self.calls.put((does, args))

    def command(self, future, then) -> None:
        """A command of the cart; its answer comes back into the screen's thread."""
        future.add_done_callback(lambda done: self.later(then, done))

    def heard(self, listener) -> None:
        for event in listener.take():
            if event.kind in ("reading", "health"):
                print(event.kind, event.content.get("banner", ""))

    def live(self, done) -> None:
        picture = done.result()  # a JPEG for the window, with what is to be done about it; None at the end
        if picture is None or not self.open:
            return
        print("live:", picture.framing.hint.value)
        if not self.began:  # who takes pictures looks first
            self.began = True
            self.next_view()
        self.command(self.cart.preview.after(picture.number), self.live)

    def next_view(self, done=None) -> None:
        if done is not None and (refused := done.exception()) is not None:
            print("refused:", refused)  # a sentence for the person at the screen; the view is tried again, not at once
            Timer(getattr(refused, "retry_s", None) or 0.1, self.later, [self.next_view]).start()
            return
        if done is not None and "image" in done.result()["capture"]["pictures"]:
            self.left.pop(0)
        if not self.left:
            exam = self.cart.state()["exam"]["exam"]
            self.command(self.cart.stop_exam(exam, cause="equipment", note="example", operator="ada"), self.closed)
            return
        self.cart.aim(*self.left[0])
        exam = self.cart.exam_shown()["exam"]  # what this window shows: a picture is taken for nothing else
        self.command(self.cart.capture(operator="ada", exam=exam, aim=self.left[0]), self.next_view)

    def closed(self, done) -> None:
        print(done.result()["banner"])
        self.open = False

    def run(self) -> None:
        with self.cart.events.listen(lambda: self.later(self.heard, listener)) as listener:
            infant = Infant.from_dict({**INFANT, "gestational_age": "27w3d", "birth_weight_g": 980})
            opened = self.cart.open_exam(infant, operator="ada")
            self.command(opened, lambda done: self.command(self.cart.preview.after(0), self.live))
            while self.open:
                does, args = self.calls.get()
                does(*args)


if __name__ == "__main__":
    with demonstration(Path(sys.argv[1])) as simulated, Cart(simulated.parts) as cart:
        Screen(cart).run()

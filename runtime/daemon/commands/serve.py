"""`python -m runtime.daemon --socket PATH`: serve until told to stop."""

from __future__ import annotations

import argparse
import contextlib
import gc
import grp
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial

from runtime.bundles.starts import Program, counted_start
from runtime.daemon.endpoint import listening, passed_by_systemd
from runtime.daemon.errors import SocketUnusable
from runtime.daemon.limits import Limits, rings_bytes
from runtime.daemon.log import ERROR, NOTICE, WARNING, Log
from runtime.daemon.messages import DaemonState, Health
from runtime.daemon.model import open_model
from runtime.daemon.notify import Notifier
from runtime.daemon.reader import IDLE_SELF_TEST_S, ModelThread
from runtime.daemon.realtime import SoftRealTime
from runtime.daemon.service import Service
from runtime.errors import BundleError, EngineError


def serve(options: argparse.Namespace) -> int:
    """Serve; gives the exit code. Raises `ScreeningError` when socket, bundle or engine cannot be had."""
    notifier, log = Notifier(), Log()
    real_time = SoftRealTime(options.fifo, options.cpus, options.lock_memory, options.huge_pages)
    real_time.for_process()
    limits = limits_of(options)
    make = partial(
        open_model,
        options.bundle,
        options.site_profile,
        options.trusted_keys,
        options.station,
        options.engine,
        options.precision,
        options.threads,
        options.budget_ms,
    )
    # Three chances within the watchdog's time to show that an inference still completes.
    idle_s = min(IDLE_SELF_TEST_S, (notifier.watchdog_s or IDLE_SELF_TEST_S) / 3)

    def loaded() -> None:
        real_time.for_thread()
        _spare_the_collector()

    def reader(changed: Callable[[], None]) -> ModelThread:
        return ModelThread(make, changed, notifier.alive, idle_s, loaded, limits.max_age_ms)

    with contextlib.ExitStack() as stack:
        listener = passed_by_systemd()
        if listener is None:
            if limits.uids and limits.group is None:
                raise SocketUnusable(
                    "--allow-uid: name --socket-group too, a group of theirs that the socket is to have"
                )
            listener = stack.enter_context(listening(options.socket, limits.group))
        service = Service(listener, reader, limits, real_time, partial(_tell, notifier, log), partial(log.write, ERROR))
        program = Program(
            "runtime.daemon",
            options.bundle,
            options.engine,
            options.precision,
            options.site_profile,
            options.trusted_keys,
            station=options.station,
        )
        with _signals(service), counted_start(program, partial(log.write, WARNING)) as lasts:
            _run(service, lasts)
    notifier.stopping()
    log.write(NOTICE, "stopped")
    return 0


def _run(service: Service, lasts: Callable[[], None]) -> None:
    """Serve; a fault of our own, once the bundle was loaded and tested, is no failed start of the bundle's."""
    try:
        service.run()
    except (BundleError, EngineError):
        raise
    except Exception:
        if service.health().state is not DaemonState.LIVE:
            lasts()
        raise


def limits_of(options: argparse.Namespace) -> Limits:
    """What clients may, by the command line. Raises `SocketUnusable` for a group that there is not."""
    group = None
    if options.socket_group is not None:
        try:
            group = grp.getgrnam(options.socket_group).gr_gid
        except KeyError:
            name = options.socket_group
            raise SocketUnusable(f"--socket-group: there is no group {name!r}; groupadd makes it") from None
    others = frozenset(options.allow_uid) - {0, os.geteuid()}
    return Limits(others, group, options.max_age_ms, rings_bytes=rings_bytes())


def _spare_the_collector() -> None:
    """What is loaded stays: a search through all of it for garbage would hold a frame up by 14 to 28 ms."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _tell(notifier: Notifier, log: Log, health: Health) -> None:
    words = health.state.name.lower() + (f": {health.text}" if health.text else "")
    if health.state is DaemonState.LIVE:
        notifier.status("loading")
    else:
        notifier.ready(words)
    log.write(
        WARNING if health.state is DaemonState.DEGRADED else NOTICE,
        words,
        ROP_STATE=health.state.name,
        ROP_BUNDLE_SHA256=health.bundle_sha256.hex(),
    )


@contextlib.contextmanager
def _signals(service: Service) -> Iterator[None]:
    """SIGTERM and SIGINT stop it, SIGHUP has it reload, while the context lasts."""

    def stop(number: int, frame: object) -> None:
        service.stop()

    def reload(number: int, frame: object) -> None:
        service.reload()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

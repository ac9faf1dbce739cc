"""The verbs of `python -m runtime.bundles`."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from runtime.bundle import DEMONSTRATION, Bundle
from runtime.bundles import actions
from runtime.bundles.actions import Means
from runtime.bundles.errors import NotActivated
from runtime.bundles.store import BundleSlot
from runtime.bundles.trial import Trial
from runtime.commands.say import say, say_json
from runtime.commands.text import printable
from runtime.outcome import DEMONSTRATION_NOTICE
from runtime.slots import Active, default_slots

DONE, SAYS_NO = 0, 1


def means_of(options: Namespace) -> Means:
    """What the options say; those that a verb lacks stay as they are."""
    given = vars(options)
    names = ("site_profile", "trusted_keys", "station", "journal", "key_file", "engine", "precision", "frames")
    known = {name: given[name] for name in (*names, "budget_ms", "most_changed") if given.get(name) is not None}
    return Means(folder=options.bundle or default_slots(), **known)


def install(options: Namespace) -> int:
    """Install, and activate where that was asked for."""
    means = means_of(options)
    source = DEMONSTRATION if options.demonstration else options.package
    if options.demonstration and (state := _demonstration_active(means)):
        return _tell_demonstration(means, state, options)
    found = actions.install(means, source)
    refused, state = "", None
    if options.activate:
        try:
            state, _ = actions.activate(means, found.bundle.sha256, despite=options.despite)
        except NotActivated as error:
            refused = str(error)
    elif found.trial.problem:
        refused = found.trial.problem
    if options.json:
        said = {
            "fresh": found.fresh,
            "active": state is not None,
            "refused": refused,
            "trial": _trial_dict(found.trial),
        }
        say_json(_bundle_dict(found.bundle) | said)
    else:
        there = "installed" if found.fresh else "was installed already"
        say(printable(f"{_named(found.bundle)}: {there} in {means.folder}"))
        say(*(printable(line) for line in found.trial.lines(means.budget_ms)))
        if state is not None:
            say("it is the active bundle now")
        elif refused:
            say(printable(f"NOT ACTIVE: {refused}"))
        _say_notice(found.bundle)
    return SAYS_NO if refused else DONE


def _demonstration_active(means: Means) -> Active | None:
    """The slots, where the demonstration as it ships is active in them; nothing is done anew then."""
    import hashlib

    from runtime.bundle import manifest_bytes

    state = means.slots.read()
    shipped = hashlib.sha256(manifest_bytes(DEMONSTRATION)).hexdigest()
    return state if state is not None and state.active == shipped else None


def _tell_demonstration(means: Means, state: Active, options: Namespace) -> int:
    bundle = means.slots.bundle(state.active)
    means.site().check_bundle(bundle)
    if options.json:
        say_json(_bundle_dict(bundle) | {"fresh": False, "active": True, "refused": "", "trial": None})
    else:
        say(printable(f"{_named(bundle)}: installed in {means.folder} and active"))
        _say_notice(bundle)
    return DONE


def activate(options: Namespace) -> int:
    """Switch."""
    means = means_of(options)
    state, notes = actions.activate(means, options.name, despite=options.despite)
    return _tell(options, means, state, notes)


def rollback(options: Namespace) -> int:
    """Go back."""
    means = means_of(options)
    return _tell(options, means, actions.rollback(means, options.why), [])


def _tell(options: Namespace, means: Means, state: Active, notes: list[str]) -> int:
    bundle = means.slots.bundle(state.active)
    if options.json:
        say_json(_bundle_dict(bundle) | asdict(state) | {"notes": notes})
    else:
        say(printable(f"active: {_named(bundle)}"), *(printable(note) for note in notes))
        if state.previous is not None:
            say(f"can go back to: {state.previous[:12]}")
        _say_notice(bundle)
    return DONE


def list_(options: Namespace) -> int:
    """What is there."""
    means = means_of(options)
    slots, state = means.slots.slots(), means.slots.read()
    if options.json:
        say_json({"folder": str(means.folder), "state": None if state is None else asdict(state)} | _all(slots))
        return DONE
    if not slots:
        say(f"{means.folder}: no bundle is installed; programs use the demonstration that ships with this software")
    for slot in slots:
        what = slot.problem or f"{slot.name} {slot.version}, issue {slot.issue or 'not numbered'}" + (
            "" if slot.clinical_use else ", demonstration: not for clinical use"
        )
        say(printable(f"{slot.state or '-':<9} {slot.sha256[:12]}  {what}"))
    if state is not None:
        say(printable(f"since {state.since}: {state.why}"))
    return DONE


def remove(options: Namespace) -> int:
    """Remove one."""
    means = means_of(options)
    sha256 = means.slots.find(options.name)
    means.slots.remove(sha256, previous_too=options.previous_too)
    if options.json:
        say_json({"removed": sha256})
    else:
        say(f"{sha256[:12]}: removed")
    return DONE


def _all(slots: list[BundleSlot]) -> dict[str, object]:
    return {"slots": [asdict(slot) for slot in slots]}


def _named(bundle: Bundle) -> str:
    return f"{bundle.manifest.name} {bundle.manifest.version} ({bundle.sha256[:12]})"


def _say_notice(bundle: Bundle) -> None:
    if not bundle.manifest.clinical_use:
        say(DEMONSTRATION_NOTICE)


def _bundle_dict(bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    known = {"name": manifest.name, "version": manifest.version, "issue": manifest.issue, "sha256": bundle.sha256}
    return {**known, "clinical_use": manifest.clinical_use}


def _trial_dict(trial: Trial) -> dict[str, object]:
    changed = [asdict(frame) for frame in trial.changed]
    brief = {name: value for name, value in asdict(trial).items() if name != "frames"}
    return {**brief, "frames": len(trial.frames), "changed": changed}

"""Runs a pipeline with the system's Python and prints what its element `ropscreen` says, one JSON object a line.

`gstreamer_pipeline.py PIPELINE`; a sink that is named `out` has the meta of every buffer printed, too. Ends at EOS, at
an error, or at a line on standard input; the line `cancel` emits that signal, `stats` prints that property, `pause`,
`play` and `seek` (to the begin, flushing) do that: these go on. Of an element `eye` each buffer's time stamp is
printed, and when it was seen; what leaves an element `worn` is marked as damaged. `gstreamer_pipeline.py PIPELINE
asking`: a synchronous handler of every message asks the element `rop` for its counts, and cancels after a finding.
"""

import json
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, GObject, Gst  # noqa: E402

Gst.init(None)

CLASSES = [GObject.ValueArray, *(getattr(Gst, name) for name in dir(Gst))]
"""Else each is made where it is first met, by two threads twice, and objects of one are none of the other."""
ONE_AT_A_TIME = threading.Lock()
"""What is met in a structure (arrays, what is in them) is met by one thread first."""


def told(kind: str, structure: "Gst.Structure") -> None:
    with ONE_AT_A_TIME:
        say({"kind": kind, **fields_of(structure)})


def fields_of(structure: "Gst.Structure") -> dict[str, object]:
    fields: dict[str, object] = {}
    for index in range(structure.n_fields()):
        name = structure.nth_field_name(index)
        if structure.get_field_type(name).name == "GstValueArray":
            array = structure.get_array(name)[1]
            fields[name] = [array.get_nth(at) for at in range(array.n_values)]
        else:
            fields[name] = structure.get_value(name)
    return fields


def say(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def on_message(bus: "Gst.Bus", message: "Gst.Message") -> None:
    if message.type == Gst.MessageType.ELEMENT and message.get_structure().get_name() == "ropscreen-reading":
        told("message", message.get_structure())
    elif message.type in (Gst.MessageType.EOS, Gst.MessageType.ERROR):
        if message.type == Gst.MessageType.ERROR:
            error, detail = message.parse_error()
            say({"kind": "error", "text": f"{error.message} {detail}"})
        loop.quit()


def on_buffer(sink: "Gst.Element", buffer: "Gst.Buffer", pad: "Gst.Pad") -> None:
    if meta := buffer.get_custom_meta("RopReadingMeta"):
        told("meta", meta.get_structure())


def on_eye(eye: "Gst.Element", buffer: "Gst.Buffer") -> None:
    say({"kind": "eye", "pts": buffer.pts, "seen-ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME)})


def on_input(channel: int, condition: "GLib.IOCondition") -> bool:
    asked = sys.stdin.readline()
    if asked == "cancel\n":
        pipeline.get_by_name("rop").emit("cancel")
        return True
    if asked == "seek\n":
        pipeline.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 0)
        say({"kind": "seek"})
        return True
    if asked in ("pause\n", "play\n"):
        pipeline.set_state(Gst.State.PAUSED if asked == "pause\n" else Gst.State.PLAYING)
        say({"kind": asked.strip()})
        return True
    if asked == "stats\n":
        told("stats", pipeline.get_by_name("rop").get_property("stats"))
        return True
    loop.quit()
    return False


def on_worn(pad: "Gst.Pad", info: "Gst.PadProbeInfo") -> "Gst.PadProbeReturn":
    info.get_buffer().mini_object.flags |= Gst.BufferFlags.CORRUPTED
    return Gst.PadProbeReturn.OK


def at_once(bus: "Gst.Bus", message: "Gst.Message") -> "Gst.BusSyncReply":
    rop = pipeline.get_by_name("rop")
    told("stats", rop.get_property("stats"))
    if message.type == Gst.MessageType.ELEMENT and message.get_structure().get_string("outcome") != "NO_RESULT":
        rop.emit("cancel")
    return Gst.BusSyncReply.PASS


loop = GLib.MainLoop()
pipeline = Gst.parse_launch(sys.argv[1])
pipeline.get_bus().add_signal_watch()
pipeline.get_bus().connect("message", on_message)
if out := pipeline.get_by_name("out"):
    out.connect("handoff", on_buffer)
if eye := pipeline.get_by_name("eye"):
    eye.connect("handoff", on_eye)
if worn := pipeline.get_by_name("worn"):
    worn.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, on_worn)
if "asking" in sys.argv[2:]:
    pipeline.get_bus().set_sync_handler(at_once)
GLib.io_add_watch(0, GLib.IO_IN, on_input)
pipeline.set_state(Gst.State.PLAYING)
loop.run()
pipeline.set_state(Gst.State.NULL)

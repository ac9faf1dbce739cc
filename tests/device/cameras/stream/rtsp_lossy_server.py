"""An RTSP server that loses packets: `/usr/bin/python3 rtsp_lossy_server.py PORT PIPELINE EVERY` serves /eye.

PIPELINE ends in a payloader `name=pay0`; of its packets each EVERY-th is dropped (0: none), before UDP or TCP carries
them. It needs what rtsp_server.py needs.
"""

from __future__ import annotations

import itertools
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

CLASSES = [getattr(Gst, name) for name in dir(Gst)]
"""Else each is made where it is first met, by two threads twice, and objects of one are none of the other."""
SENT = itertools.count(1)


def lost(every: int) -> bool:
    """Whether the next packet is."""
    return next(SENT) % every == 0 if every else False


def pass_on(pad: Gst.Pad, info: Gst.PadProbeInfo, every: int) -> Gst.PadProbeReturn:
    """Drop what is lost; of a list of packets, the others are sent in its place."""
    if info.type & Gst.PadProbeType.BUFFER:
        return Gst.PadProbeReturn.DROP if lost(every) else Gst.PadProbeReturn.OK
    sent, given = info.get_buffer_list(), Gst.BufferList.new()
    for number in range(sent.length()):
        if not lost(every):
            given.insert(-1, sent.get(number).copy())
    if given.length():
        pad.get_peer().chain_list(given)
    return Gst.PadProbeReturn.DROP


def main() -> None:
    """Serve until killed; says `ready` once it listens."""
    port, pipeline, every = sys.argv[1], sys.argv[2], int(sys.argv[3])
    packets = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST

    def configure(_: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia) -> None:
        media.get_element().get_by_name("pay0").get_static_pad("src").add_probe(packets, pass_on, every)

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(pipeline)
    factory.connect("media-configure", configure)
    server.get_mount_points().add_factory("/eye", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be used")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()

"""An RTSP server for the tests, of GStreamer's: `/usr/bin/python3 rtsp_server.py PORT COLOUR` serves /eye, 20 frames/s.

It needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-good. Each frame is a JPEG that
shows a moving ball of that colour (0xAARRGGBB), so that no two are equal.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball foreground-color=%s "
    "! video/x-raw,format=I420,width=320,height=240,framerate=20/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
)


def main() -> None:
    """Serve until killed; says `ready` once it listens."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE % sys.argv[2])
    factory.set_shared(True)
    server.get_mount_points().add_factory("/eye", factory)
    if not server.attach(None):
        sys.exit(f"port {sys.argv[1]} cannot be used")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()

"""Why a file or a frame is no picture that can be read, in words that follow its name."""

MAX_MEGAPIXELS = 64
"""No larger picture is taken; known from the header, before memory is."""

MAX_PIECES = 100_000
"""No picture's file is in more parts: over millions that hold nothing a reader sits for minutes."""


class Refused(Exception):
    """Why a picture is not one that can be read, in words that follow its name."""


class Damaged(Refused):
    """Its data is damaged, though a decoder may make a picture of it: that would show what no camera saw."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"damaged or truncated {kind} ({detail}); copy it again")


def check_size(width: int, height: int) -> None:
    """Raise `Refused` for a picture of no size, or of more than `MAX_MEGAPIXELS`."""
    if width < 1 or height < 1 or width * height > MAX_MEGAPIXELS * 1_000_000:
        raise Refused(f"{width} x {height} pixels, expected at most {MAX_MEGAPIXELS} megapixels; export it smaller")


def check_pieces(count: int, what: str) -> None:
    """Raise `Refused` for a file of more parts than any picture's; what: as in "a PNG of over 100000 chunks"."""
    if count > MAX_PIECES:
        raise Refused(f"a {what.format(MAX_PIECES)}, expected far less; export it anew")


def several(pages: int) -> Refused:
    """The error for a file of so many pictures."""
    return Refused(f"{pages} pages or animation frames in one file, expected one picture; export the one to be read")

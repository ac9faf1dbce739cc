"""Compressed pictures to pixels, with an ear for what decoders only warn of: damaged data is no picture."""

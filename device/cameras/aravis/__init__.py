"""GigE Vision and USB3 Vision cameras through libaravis."""

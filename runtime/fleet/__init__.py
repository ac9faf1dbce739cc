"""Bundles for many carts, by files or HTTPS: pushed once, pulled in waves, and how the carts stand."""

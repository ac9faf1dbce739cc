"""Training of the demonstration networks on public data sets."""

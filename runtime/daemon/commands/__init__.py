"""What `python -m runtime.daemon` can do; one file each."""

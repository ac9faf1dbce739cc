"""The commands of `python -m device`, one file each; every one has `main(words) -> exit code`."""

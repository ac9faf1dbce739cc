"""The daemon `ropscreend`: an engine kept warm for programs in C, C++ or Python on the same machine."""

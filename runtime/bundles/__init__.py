"""Bundles in slots: installed from a package, tried on this machine, switched by one rename, and back again."""

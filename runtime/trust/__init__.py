"""Whether a model may be believed: signatures, the site's profile, the known-answer self-test, the watch for drift."""

"""Re-reading: stored frames read again with another bundle, and what that changes."""

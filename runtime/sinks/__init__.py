"""Where readings go: JSON lines, overlay pictures, vessel maps, a summary page."""

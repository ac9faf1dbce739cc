"""What the commands share: words for people, and stopping without tearing anything."""

"""What a bundle carries so that a cart can believe it: the known-answer self-test and the drift reference."""

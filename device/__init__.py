"""What touches hardware: cameras, and the files and simulations that stand in for them."""

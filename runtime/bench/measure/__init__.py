"""What is measured: frames under a load, the machine beside them, cold starts and accuracy."""

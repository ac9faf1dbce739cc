"""What runs on the cart: frames in, screening readings out."""

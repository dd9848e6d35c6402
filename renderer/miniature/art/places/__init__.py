"""The sixteen places, and what is in them."""

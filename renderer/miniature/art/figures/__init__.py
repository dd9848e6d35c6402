"""The people of the pictures, piece by piece."""

"""The miniature: a small Kolors, trained from nothing on a picture book that code draws."""

"""How a recipe is read: its keys, what else has to hold, and every default filled in."""

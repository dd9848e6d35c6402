"""Less exact for less time or memory, by name only: nothing here is used where a story doesn't ask for it."""

"""How pictures become a data set: found, captioned, checked, filtered and surveyed."""

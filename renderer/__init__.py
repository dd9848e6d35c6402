"""Write a story as a YAML file, render it with Kolors, review the pictures on one HTML sheet."""

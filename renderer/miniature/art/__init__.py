"""The pictures: drawn as SVG from their attributes."""

"""Looking at a story: what `grid.py` and `sheet.py` stand on.

captions, cells    words and pictures drawn into the cells of a grid, in the font that ships (fonts/)
picks, thumbs      the chosen pictures, numbered; small copies for the sheet
viewing, views     the manifest → plain values that a template sees
"""

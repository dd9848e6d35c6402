"""Looking at a story: what `grid.py`, `history.py` and `sheet.py` stand on.

layout, pages      how a grid is divided, and its words; its pages as PNG files
captions, cells    words and pictures drawn into the cells of a grid, in the font that ships (fonts/)
picks, thumbs      the chosen pictures, numbered; small copies for the sheet (parallel: several at once)
viewing, views     the manifest → plain values that a template sees
data, text         the same as JSON for the scripts of the page; how texts and times are written
durations          when each scene is seen
tables             the takes of a sweep in columns and rows
snapshots          what one sheet showed, as a small file of the run folder's history
comparing, changes what has changed since an earlier sheet, and why; the same as the page shows it
"""

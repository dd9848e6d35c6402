"""Planning: what `plan.py` stands on.

contents    the trained files that a story names, read: what is in them, and whether they fit the model
warnings    what will be painted otherwise than the author may think
"""

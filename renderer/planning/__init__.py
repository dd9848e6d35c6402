"""Planning: what `plan.py` stands on.

contents    the trained files that a story names, read: what is in them, and whether they fit the model
drafts      takes painted quickly for a first look, and the rule of what stands for what
warnings    what will be painted otherwise than the author may think
"""

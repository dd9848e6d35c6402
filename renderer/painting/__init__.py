"""Painting: what `paint.py` stands on.

beside      work that is done beside other work, such as writing pictures while the next are painted
"""

"""A story in the forms that other programs read: a shot list, a timeline, an animatic, paper, a package."""

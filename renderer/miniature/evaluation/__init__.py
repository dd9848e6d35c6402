"""How well a model paints what its prompts say."""

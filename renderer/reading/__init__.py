"""Reading a story file: what `storyboard.py` and `prompts.py` stand on.

yaml_file    YAML → values with their places, within limits (its words for mistakes: yaml_hints)
include      a story and the files it includes → one
story_file   the form of a story, as pydantic models (their words: authoring, findings)
salvage      whatever is valid of a file with mistakes, so that all of them are found at once
resolve      names, sizes, LoRA files and characters found (name, size, lora_folders, casting) → scenes
template     the grammar of prompts: characters, wildcards, literal braces
"""

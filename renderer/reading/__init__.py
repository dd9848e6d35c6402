"""Reading a story file: what `storyboard.py` and `prompts.py` stand on.

yaml_file    YAML → values with their places, within limits (its words for mistakes: yaml_hints)
include      a story and the files it includes → one
story_file   the form of a story, as pydantic models (values, adapter_entries; what is said of mistakes: authoring,
             synonyms, findings)
salvage      whatever is valid of a file with mistakes, so that all of them are found at once
resolve      names, sizes, models, trained files and characters found → scenes (name, size, model_choice, casting;
             adapters with lora_folders and lora_steps)
template     the grammar of prompts: characters, wildcards, literal braces
"""

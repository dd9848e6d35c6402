"""What a reviewer decides: kept in `review.json`, and brought back into the author's YAML."""

"""From what people write to a folder on the disk: paths, names on the hub, and words for all that is neither."""

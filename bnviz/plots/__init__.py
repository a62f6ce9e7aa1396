"""Pictures of stored results, for the cells of notebooks; nothing here moves."""

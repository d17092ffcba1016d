"""The page at /: find somebody or build a history, see recommendations and reasons; it needs no script."""

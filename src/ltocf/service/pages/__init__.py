"""The page at /: find somebody or build a history, see recommendations and reasons; forms and links, no script needed."""

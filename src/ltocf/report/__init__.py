"""Numbers become pages and figures."""

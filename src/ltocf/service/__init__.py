"""A finished run as an HTTP service: answers of `Snapshot`, errors with a remedy, and a page for people."""

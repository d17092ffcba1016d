"""Where the processes of one service keep their numbers."""

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that says it; prometheus_client reads it when it is imported."""

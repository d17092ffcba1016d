"""The folder in which the processes of one service keep their metrics."""

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that names it; prometheus_client reads it when it is imported."""

"""Beyond one process and its memory: logs on disk, lists by many workers, columns of embeddings shared by processes."""

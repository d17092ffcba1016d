"""Beyond one process and its memory: logs on disk, lists by many workers, columns of the embeddings over ranks."""

"""Beyond one process: columns of the embeddings over ranks."""

"""The paper's tables and figures, made of cells, each run once: configuration -> run -> results -> report."""

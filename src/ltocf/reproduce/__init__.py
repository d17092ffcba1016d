"""The paper's tables and figures, made of cells that are each run once: configuration -> run -> results -> report."""

"""The paper's tables and figures, from cells that are run once: configuration -> run -> results -> report."""

"""Where rows come from: named sets, folders, tables, objects in memory; `frame` is the one seam they all go through."""

"""Files, frames and pairs become `Interactions`, then splits, then batches."""

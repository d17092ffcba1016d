"""Logs larger than memory: event files become a store on disk that training maps."""

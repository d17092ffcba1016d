"""One run: its configuration, its folder, its protocol, and the calls that train, resume, load and evaluate."""

"""Many runs: a search over settings, and what makes two runs the same."""

"""Learnable-Time ODE-based Collaborative Filtering."""

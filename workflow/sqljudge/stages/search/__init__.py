"""Planners that ask models while they plan: iterative correction and tree search, and what they spend."""

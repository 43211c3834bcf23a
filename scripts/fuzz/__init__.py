"""Random programs, what they are made of, who runs them, and how they are made smaller."""

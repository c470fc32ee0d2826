"""What the tenant tells, and what is looked for in it: heard, compared with what was known, decided by rule."""

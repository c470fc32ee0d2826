"""What administrators ask and order: judged and written down at once, worked on later. Never calls Graph."""

"""Three forges' APIs, served from one state file."""

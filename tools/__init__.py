"""What keeps the repository in order: set-up, locks, generated pages."""

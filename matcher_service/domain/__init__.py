"""What the matcher works with: people, faces, collections, decisions, errors; no wire and no driver."""

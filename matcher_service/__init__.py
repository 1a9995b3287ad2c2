"""The matcher: faces kept in Postgres, and decisions on who a face is."""

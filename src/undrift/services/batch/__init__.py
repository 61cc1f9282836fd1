"""Many pictures from one table: each row becomes a session, and what is there already is not made again."""

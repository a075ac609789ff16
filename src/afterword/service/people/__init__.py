"""People: users, teams and roles, their sessions, and when API keys were last used."""

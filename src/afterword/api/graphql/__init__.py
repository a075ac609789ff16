"""GraphQL over the services: what REST does, for clients that ask for the members that they want."""

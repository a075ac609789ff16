"""GraphQL over the same services as REST, for clients that select the members they need."""

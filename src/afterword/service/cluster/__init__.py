"""One of several servers over one database: its messages to the others, and its health."""

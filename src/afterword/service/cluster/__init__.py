"""One of several servers over one database: what it tells the others, and how it is."""

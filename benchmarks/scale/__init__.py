"""Ten million interactions: what they are like, how they are loaded in bulk, and how a server does over them."""

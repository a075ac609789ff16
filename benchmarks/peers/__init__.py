"""The same jobs against Afterword and its peers: one machine, one run, one load. A file for each contender."""

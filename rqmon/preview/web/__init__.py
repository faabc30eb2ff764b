"""The preview's pages and its web server."""

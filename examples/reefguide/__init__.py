"""A worker for the ReefGuide API on one machine: a stand-in of the API, an S3 server, a node, and a handler."""

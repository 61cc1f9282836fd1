"""The studio: a local web page over the session engine. It holds no editing logic of its own."""

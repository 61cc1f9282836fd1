"""Other ways in, beside the command line and the page: tables of pictures, the images API, agents."""

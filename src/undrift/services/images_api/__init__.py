"""The images API: programs that edit pictures over HTTP as they do elsewhere edit them here, turn after turn."""

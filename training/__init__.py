"""Makes the weights of LittleWorld, the embedded model, from nothing."""

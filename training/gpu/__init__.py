"""The whole training on one GPU, in a quarter of an hour: the losses and optimisers of a CPU's, as CUDA graphs.

`python -m training.gpu.prepare` draws the pictures and trains judge and autoencoder, `python -m training.gpu.learn`
then trains the flow, distils it and trains the UNet.
"""

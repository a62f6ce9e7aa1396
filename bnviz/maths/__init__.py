"""The mathematics of Batch Normalization, to be read. No figure, no page, no widget.

In this order it is a course; each module opens with its formulas and their source:

1. `batchnorm`: forward, backward, inference and running averages, from scratch in NumPy.
2. `gradcheck`: is that backward pass right? Central differences know no calculus.
3. `numpy_net`: a network in NumPy that trains with a backward pass of your own.
4. `nets`: the same layer in PyTorch from plain operations, and networks with it. `moments`: its
   formulas in two lines, where they are not the subject.
5. `convnet`: per channel instead of per unit.
6. `train`, `record`, `measures`: a training loop, what a recorder keeps of it, what is measured.
7. `fade`: how the spread dies away in a deep network. `ics`: two measures of internal covariate
   shift. `noisy`, `trio`: the experiment against it.
8. `fold`, `reestimate`: inference without the layer; statistics measured afterwards.
9. `broken`, `checks`: the usual mistakes, and the questions that find them.
10. `landscape`, `surface`, `sharpness`: how smooth the loss is along a gradient, in a plane, and
    how steep at a point.
11. `relatives`: layer, group and instance normalisation, and a network for all of them. `noise`:
    how far a batch's statistics scatter. `devices`: one batch in several processes.
12. `decay`: weight decay, and weights whose length the function forgets.
13. `apart`, `meanfield`: layers with one part of BN, and what theory says of deep random networks.

At the papers' scale, with PyTorch's own layers: `vgg`, `nin`.

Below them: `data` and `prng` (seeded, alike in every host), `functional` (a step of training as a
function of a state), `_arguments` (what functions ask of their arguments), `_torch_norm` and
`_overflow` (what `nets.BatchNorm` shares with PyTorch's, and does where numbers end).
"""

"""From an image archive to its root file system.

`image` finds configuration and layers in the archive, `streams` unpacks a layer's compression, `tar` reads its entries,
`applier` puts them on disk through `directories` and `nodes`, `rootfs` drives the whole.

Layers are made by others. So nothing here hands a path to the kernel: each component is opened by its own name from
the descriptor of its directory, a symbolic link is never followed by the kernel but read and walked again from the root
of the tree, and so no name, link or whiteout reaches anything outside.
"""

"""The rehearsed control plane: moto, with AWS's own behaviours on top."""

"""What the paper published, as data, and its loader (`resnet_repro.paper.published`)."""

"""One file a step, named `pre_NNNN_words` or `post_NNNN_words`."""

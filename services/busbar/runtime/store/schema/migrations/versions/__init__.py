"""One file per migration, named `pre_NNNN_words` or `post_NNNN_words`."""

"""``contracts/signing-vectors.json``: signed records and keys, with what a verifier has to say."""

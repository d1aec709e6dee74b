"""The platform as users see it: a package, so that its platform is stopped with it."""

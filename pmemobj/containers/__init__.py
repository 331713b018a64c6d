"""The persistent containers, one module each; they never import each other."""

"""Renews what is derived of the notebooks: outputs, solutions' outputs, translations, the guide."""

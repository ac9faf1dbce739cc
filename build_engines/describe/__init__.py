"""The description of a model: its template, its validator, and the card made from it for Hugging Face."""

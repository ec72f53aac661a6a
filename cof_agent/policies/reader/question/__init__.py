"""A question in English, taken apart: what it asks for, in terms that read text can answer."""

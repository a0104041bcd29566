"""The model's side: runs in the user's Python (3.8 or later) and needs what the model needs, no more.

Nothing in here may import the rest of cml-action: it is not installed there. The parent starts `__main__.py`.
"""

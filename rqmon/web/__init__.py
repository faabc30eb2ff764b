"""What the web programs share: who may ask them, and how they are served."""

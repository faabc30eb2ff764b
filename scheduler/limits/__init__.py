"""Rate limits shared by every process."""

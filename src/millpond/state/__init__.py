"""State: the contract (`state.contract`) and the stores that fulfil it."""

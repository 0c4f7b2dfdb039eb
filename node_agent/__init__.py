"""The node agent: engines, border check, audit and the agent loop, beside the data of one holder."""

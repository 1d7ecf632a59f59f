"""What HTTP itself asks of the service: negotiation, validators, events, strict requests, codes of refusals."""

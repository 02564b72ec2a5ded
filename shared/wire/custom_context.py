"""Custom context between an IVR and an agent: the voip headers that have a meaning of their own (docs/ivr.md).

ACS hands them on as they are: at most 1000 of them, names of 64 characters and values of 1024 (acs.md section 6).
"""

CONVERSATION = "externalConversationId"
"""The conversation that the call goes on with."""

RETURN_TO = "returnTo"
"""The `8:acs:…` identity to give the caller back to."""

RETURN_STEP = "returnStep"
"""Where the flow goes on then: free text, which comes back unchanged."""

RETURN_STEP_LENGTH = 64
"""Characters of `RETURN_STEP` at most."""

TRANSFER_TYPE = "transferType"
"""Why the caller comes back: AGENT (wants a person) or SYSTEM."""

TRANSFER_ID = "callTransferId"
"""The call transfer that the call comes for."""

MOVE = "patchcordMove"
"""A caller of ours comes back for another media host: the secret name of the move (`shared.calls.moving`)."""

RESERVED = frozenset({CONVERSATION, RETURN_TO, RETURN_STEP, TRANSFER_TYPE, TRANSFER_ID, MOVE})
"""No variables of these names leave us: nobody but the host may say where a caller goes."""

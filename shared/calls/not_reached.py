"""Why a call of ours was not picked up, in words: ACS's codes and SIP's (acs.md 4.3)."""

_BY_SUB_CODE = {
    8508: "cancelled",
    8538: "declined",
    8539: "busy",
    8541: "unreachable",
    8542: "cancelled",
    8544: "unreachable",
    8586: "no_answer",
    8587: "no_answer",
}
_BY_CODE = {
    200: "cancelled",
    403: "declined",
    404: "unreachable",
    408: "no_answer",
    480: "no_answer",
    486: "busy",
    487: "cancelled",
    600: "busy",
    603: "declined",
    604: "unreachable",
}


def not_reached(code: int | None, sub_code: int | None) -> str:
    """`busy`, `no_answer`, `declined`, `unreachable`, `cancelled`, or `create_failed` for what says nothing of these.

    ACS's sub-code is the more exact one, so it counts first.
    """
    return _BY_SUB_CODE.get(sub_code or 0) or _BY_CODE.get(code or 0, "create_failed")
